local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

local db, path

before_each(function()
  db, path = helper.store()
end)

after_each(function()
  db:close()
end)

local function reopen()
  db:close()
  db = assert(viperdb.open(path))
end

local function milliseconds(seconds_from_now)
  return (os.time() + seconds_from_now) * 1000
end

describe("A key with an expiration", function()
  it("is there before it", function()
    assert.is_true(db:set("later", 1, { ttl = 60 }))
    assert.is_true(db:set_with_expiration("as the original", 2, milliseconds(60)))
    assert.is_true(db:set("moment", 3, { expiration = milliseconds(60) }))
    for _ = 1, 2 do
      assert.equal(1, db.later)
      assert.equal(2, db["as the original"])
      assert.equal(3, db.moment)
      for key in db:keys() do assert.is_true(db:ttl(key) > 50 and db:ttl(key) <= 60) end
      reopen()
    end
  end)

  it("is absent after it", function()
    db:set("past", 1, { ttl = -1 })
    db:set("long past", 1, { expiration = 1000 })
    db:set("before the epoch", 1, { expiration = -math.huge })
    db:set("at the epoch", 1, { expiration = 0 })
    db:set_with_expiration("as the original", 1, milliseconds(-60))
    for _ = 1, 2 do
      for _, key in ipairs({ "past", "long past", "before the epoch", "at the epoch", "as the original" }) do
        assert.is_nil(db[key])
        assert.is_false(db:has(key))
        assert.is_nil(db:ttl(key))
        assert.is_false(db:delete(key))
        assert.is_false(db:expire(key, 60))
        assert.is_false(db:persist(key))
      end
      assert.is_nil(db:keys()())
      reopen()
    end
  end)

  it("goes when its time comes", function()
    db:set("brief", 1, { ttl = 0.05 })
    os.execute("sleep 0.1")
    assert.is_nil(db.brief)
  end)

  it("expires no more when it is stored again", function()
    db:set("key", 1, { ttl = 60 })
    db.key = 2
    assert.equal(math.huge, db:ttl("key"))
  end)

  it("can get another one, and keeps its value", function()
    db.key = { "value" }
    assert.is_true(db:expire("key", 60))
    assert.is_true(db:ttl("key") <= 60)
    assert.is_true(db:expire("key", 3600))
    reopen()
    assert.is_true(db:ttl("key") > 60)
    assert.same({ "value" }, db.key)
    assert.is_true(db:expire("key", -1))
    assert.is_nil(db.key)
  end)

  it("can lose it", function()
    db:set("key", "value", { ttl = 60 })
    assert.is_true(db:persist("key"))
    reopen()
    assert.equal(math.huge, db:ttl("key"))
    assert.equal("value", db.key)
  end)

  it("goes for good with a reclaim, and only then", function()
    db:set("past", 1, { ttl = -1 })
    db:set("later", 2, { ttl = 60 })
    assert.is_true(db:reclaim())
    assert.equal(1, #db)
    assert.is_true(db:ttl("later") <= 60)
    assert.equal(2, db.later)
  end)

  it("is stored again as if it were new", function()
    db:set("key", 1, { ttl = -1 })
    db.key = 2
    assert.equal(2, db.key)
    reopen()
    assert.equal(2, db.key)
  end)
end)

describe("A key without an expiration", function()
  it("has endless time left", function()
    db.key = 1
    assert.equal(math.huge, db:ttl("key"))
    assert.is_true(db:expire("key", math.huge))
    assert.is_true(db:set("copy", 1, { ttl = db:ttl("key") }))
    assert.equal(math.huge, db:ttl("copy"))
    assert.is_true(db:set("moment", 1, { expiration = math.huge }))
    assert.equal(math.huge, db:ttl("moment"))
  end)
end)

describe("An absent key", function()
  it("has no time left and can't be given any", function()
    assert.is_nil(db:ttl("absent"))
    assert.equal(1, select("#", db:ttl("absent")))
    assert.is_false(db:expire("absent", 60))
    assert.is_false(db:persist("absent"))
    assert.equal(0, #db)
  end)
end)
