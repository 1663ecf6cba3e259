-- Calls that store a value only when the key is what it should be.
local helper = require("spec.helper")
local viperdb = require("viperdb")
local fails = helper.fails

teardown(helper.clean)

local db

before_each(function()
  db = helper.store()
end)

after_each(function()
  db:close()
end)

describe("db:add and db:replace", function()
  it("store the one what is absent, the other what is there", function()
    assert.is_false(db:replace("k", 1))
    assert.is_nil(db.k)
    assert.is_true(db:add("k", 1))
    assert.equal(1, db.k)
    assert.is_false(db:add("k", 2))
    assert.equal(1, db.k)
    assert.is_true(db:replace("k", { 3 }))
    assert.same({ 3 }, db.k)
    db.k = nil
    assert.is_false(db:replace("k", 4))
    assert.is_true(db:add("k", 5))
    assert.equal(5, db.k)
  end)

  it("take an expiration as db:set does", function()
    assert.is_true(db:add("k", 1, { ttl = 1000 }))
    assert.is_true(db:ttl("k") <= 1000)
    assert.is_true(db:replace("k", 2, { ttl = 10 }))
    assert.is_true(db:ttl("k") <= 10)
    assert.is_true(db:replace("k", 2))
    assert.equal(math.huge, db:ttl("k"))
    assert.is_true(db:replace("k", 2, { expiration = 1 }))
    assert.is_false(db:replace("k", 3))
    assert.is_true(db:add("k", 4))
    assert.equal(4, db.k)
  end)

  it("replace what can't be read", function()
    local damaged = assert(viperdb.open(helper.copy_of("unreadable_values")))
    assert.is_false(damaged:add("not JSON", 1))
    assert.is_true(damaged:replace("not JSON", 1))
    assert.equal(1, damaged["not JSON"])
    damaged:close()
  end)

  it("refuse what can't be stored", function()
    fails("TYPE", db:add("k", print))
    assert.is_false(db:has("k"))
    db.k = 1
    fails("TYPE", db:replace("k", { print }))
    assert.equal(1, db.k)
  end)

  it("raise on wrong arguments", function()
    for _, name in ipairs({ "add", "replace" }) do
      assert.matches("value expected: to delete use db:delete", helper.error_of(db[name], db, "k", nil))
      assert.matches("value expected", helper.error_of(db[name], db, "k"))
      assert.matches("index is nil", helper.error_of(db[name], db, nil, 1))
      assert.matches("unknown option 'TTL'", helper.error_of(db[name], db, "k", 1, { TTL = 1 }))
    end
    assert.equal(0, #db)
  end)
end)

describe("db:cas", function()
  it("replaces the value only when it is the old one", function()
    db.k = "one"
    assert.is_false(db:cas("k", "two", "three"))
    assert.is_false(db:cas("k", nil, "three"))
    assert.equal("one", db.k)
    assert.is_true(db:cas("k", "one", "two"))
    assert.equal("two", db.k)
  end)

  it("takes nil for an absent key, on both sides", function()
    assert.is_false(db:cas("k", 1, 2))
    assert.is_true(db:cas("k", nil, 1))
    assert.equal(1, db.k)
    assert.is_true(db:cas("k", 1, nil))
    assert.is_false(db:has("k"))
    assert.is_true(db:cas("k", nil, nil))
    db:set("k", 1, { expiration = 1 })
    assert.is_false(db:cas("k", 1, 2))
    assert.is_true(db:cas("k", nil, 2))
  end)

  it("tells values of all kinds apart", function()
    local kinds = { 1, 1.5, "1", "", true, false, "\255", {}, { 1 }, { "1" }, { a = 1 }, viperdb.null, math.huge, 0 / 0,
      { 1, x = 1 } }
    for i, stored in ipairs(kinds) do
      for j, old in ipairs(kinds) do
        db.k = stored
        assert.equal(i == j, db:cas("k", old, "new"))
        if i == j then assert.equal("new", db.k) else assert.is_true(db:has("k")) end
      end
    end
  end)

  if math.type then
    it("tells an integer from a float", function()
      db.k = 1
      assert.is_false(db:cas("k", 1.0, 2))
      assert.is_true(db:cas("k", 1, 2))
    end)
  end

  it("takes back the table that was read, whatever the order of its fields", function()
    local fields = {}
    for i = 1, 40 do fields["field " .. i * 7919 % 41] = { i, name = i } end
    for i = 1, 20 do fields["field " .. i] = nil end
    db.k = fields
    local read = db.k
    assert.is_true(db:cas("k", read, { done = true }))
    assert.is_false(db:cas("k", read, {}))
    assert.same({ done = true }, db.k)
  end)

  it("takes back what the Python original wrote", function()
    local store = assert(viperdb.open(helper.copy_of("python-viperdb/values"), { integers = "float" }))
    local tried, failed = 0, {}
    for key in store:keys() do
      local value = store:get(key)
      if value ~= nil then
        tried = tried + 1
        if not store:cas(key, value, "replaced") then failed[#failed + 1] = key end
      end
    end
    assert.same({}, failed)
    assert.is_true(tried > 10)
    store:close()
  end)

  it("keeps the expiration", function()
    db:set("k", 1, { ttl = 1000 })
    assert.is_true(db:cas("k", 1, 2))
    assert.is_true(db:ttl("k") <= 1000)
  end)

  it("refuses what can't be stored or read, and changes nothing", function()
    db.k = 1
    fails("TYPE", db:cas("k", print, 1))
    fails("TYPE", db:cas("k", 1, print))
    assert.equal(1, db.k)
    local damaged = assert(viperdb.open(helper.copy_of("unreadable_values")))
    fails("UNSUPPORTED", damaged:cas("pickled", 1, 2))
    damaged:close()
  end)

  it("is the error CLOSED when the functions of an object close the store, as with other calls", function()
    local Closer, closes = {}, false
    local function close_and_return(value)
      if closes then db:close() end
      return value
    end
    viperdb.register("cas_spec.Closer", Closer, { dump = function() return close_and_return(1) end,
      load = function() return close_and_return(setmetatable({}, Closer)) end })
    local object = setmetatable({}, Closer)
    local calls = {
      function() return db:cas("k", object, 1) end,
      function() return db:cas("k", 1, 2) end,
      function() return db:add("absent", object) end,
      function() return db:replace("k", object) end,
      function() return db:incr("k") end,
      function() return db:update("k", function() return object end) end,
      function() return db:transaction(function(tx) tx.absent = 1 return tx.k end) end,
      function() return db:transaction(function(tx) tx.absent = object end) end,
    }
    local path = helper.path()
    for i, call in ipairs(calls) do
      db:close()
      db = assert(viperdb.open(path))
      db.k = object
      closes = true
      local result, message, code = call()
      closes = false
      if i == 2 then assert.equal(false, result) elseif i == 5 then fails("TYPE", result, message, code)
      else fails("CLOSED", result, message, code) end
      db = assert(viperdb.open(path))
      assert.is_false(db:has("absent"))
      assert.equal(Closer, getmetatable(db.k))
    end
  end)

  it("raises on wrong arguments", function()
    assert.matches("value expected", helper.error_of(db.cas, db, "k", 1))
    assert.matches("index is nil", helper.error_of(db.cas, db, nil, 1, 2))
  end)
end)
