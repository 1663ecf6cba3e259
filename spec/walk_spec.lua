local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

describe("A walk", function()
  local db, path

  before_each(function()
    db, path = helper.store()
  end)

  after_each(function()
    db:close()
  end)

  local function fill(count)
    for i = 1, count do db["key " .. i] = i end
  end

  it("over an empty store has no step", function()
    assert.is_nil(db:pairs()())
    assert.is_nil(db:keys()())
  end)

  it("gives keys and values in the order of their last write", function()
    db.one = 1
    db.two = { 2 }
    db.three = "3"
    db.one = "again"
    db.two = nil
    local keys, values = helper.collect(db:pairs())
    assert.same({ "three", "one" }, keys)
    assert.same({ "3", "again" }, values)
  end)

  it("gives the same order when the store is opened again", function()
    fill(100)
    db["key 50"] = "last"
    local before = helper.collect(db:keys())
    db:close()
    db = assert(viperdb.open(path))
    assert.same(before, (helper.collect(db:keys())))
    assert.equal("key 50", before[100])
  end)

  it("over keys gives no values", function()
    db.hello = "ViperDB!"
    assert.same({ "hello" }, { db:keys()() })
    local keys, values = helper.collect(db:keys())
    assert.same({ "hello" }, keys)
    assert.same({}, values)
  end)

  it("gives keys and values of every type and size", function()
    local long = ("k"):rep(60000)
    local expected = {
      { long, ("v"):rep(200000) }, { 1.5, false }, { true, { 1 } }, { "\255", "\254" }, { 7, 8 },
    }
    for _, pair in ipairs(expected) do db:set(pair[1], pair[2]) end
    local got = {}
    for key, value in db:pairs() do got[#got + 1] = { key, value } end
    assert.same(expected, got)
  end)

  it("doesn't see what is written meanwhile", function()
    fill(10)
    local keys = {}
    for key, value in db:pairs() do
      keys[#keys + 1] = key
      assert.equal("key " .. value, key)
      db["new " .. value] = true
      db["key " .. value + 1] = "changed"
      db["key 10"] = nil
    end
    assert.equal(10, #keys)
    assert.equal("changed", db["key 2"])
  end)

  it("can delete all it meets", function()
    fill(100)
    for key in db:keys() do db[key] = nil end
    assert.equal(0, #db)
  end)

  it("goes on through a reclaim", function()
    fill(100)
    local step = db:pairs()
    step()
    for i = 2, 100, 2 do db["key " .. i] = nil end
    assert.is_true(db:reclaim())
    local count = 1
    for key, value in step do
      count = count + 1
      assert.equal("key " .. value, key)
    end
    assert.equal(100, count)
    assert.equal(50, #(helper.collect(db:keys())))
  end)

  it("doesn't disturb another one", function()
    fill(3)
    local pairs_seen = {}
    for outer in db:keys() do
      for inner in db:keys() do pairs_seen[#pairs_seen + 1] = outer .. inner end
    end
    assert.equal(9, #pairs_seen)
    assert.equal("key 1key 1", pairs_seen[1])
    assert.equal("key 3key 3", pairs_seen[9])
  end)

  it("can be left", function()
    fill(10)
    for _ = 1, 1000 do
      for key in db:keys() do
        if key == "key 2" then break end
      end
    end
    assert.equal(10, #db)
  end)

  it("raises when the store is closed in the middle, and harms nothing", function()
    fill(10)
    local step = db:pairs()
    step()
    db:close()
    assert.matches("closed store", helper.error_of(step))
    assert.matches("closed store", helper.error_of(step))
    step = nil
    collectgarbage()
    collectgarbage()
    db = assert(viperdb.open(path))
    assert.equal(10, #db)
    assert.is_nil(step)
  end)

  it("raises when it is the loop's body that closes the store", function()
    fill(10)
    local keys = {}
    local message = helper.error_of(function()
      for key in db:keys() do
        keys[#keys + 1] = key
        db:close()
      end
    end)
    assert.matches("closed store", message)
    assert.same({ "key 1" }, keys)
  end)

  it("stays at its end", function()
    fill(1)
    local step = db:keys()
    assert.equal("key 1", step())
    assert.is_nil(step())
    db.more = 1
    assert.is_nil(step())
    db:close()
    assert.is_nil(step())
  end)

  it("works in a coroutine", function()
    fill(3)
    local walk = coroutine.wrap(function()
      for key, value in db:pairs() do coroutine.yield(key, value) end
    end)
    assert.same({ "key 1", 1 }, { walk() })
    assert.same({ "key 2", 2 }, { walk() })
  end)

  it("leaves out what has expired", function()
    db:set("gone", 1, { ttl = -1 })
    db.here = 2
    assert.same({ "here" }, (helper.collect(db:keys())))
  end)

  if _VERSION ~= "Lua 5.1" then
    it("is what pairs does", function()
      db.one = 1
      db.two = 2
      local keys, values = helper.collect(pairs(db))
      assert.same({ "one", "two" }, keys)
      assert.same({ 1, 2 }, values)
    end)
  end
end)
