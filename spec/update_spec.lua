-- Calls that change a value: nothing that others write is lost between reading and writing.
local helper = require("spec.helper")
local viperdb = require("viperdb")
local fails = helper.fails

teardown(helper.clean)

local db, path

before_each(function()
  db, path = helper.store()
end)

after_each(function()
  db:close()
end)

local function one_more(n)
  return (n or 0) + 1
end

describe("db:update", function()
  it("stores and returns what the function makes of the value", function()
    db.n = 41
    assert.equal(42, db:update("n", one_more))
    assert.equal(42, db.n)
    db[true] = { list = { 1 } }
    local stored = db:update(true, function(record)
      record.list[2] = 2
      return record
    end)
    assert.same({ list = { 1, 2 } }, stored)
    assert.same({ list = { 1, 2 } }, db[true])
  end)

  it("gives nil for an absent key", function()
    local count, given = -1, 0
    db:update("n", function(...)
      count, given = select("#", ...), ...
      return 1
    end)
    assert.equal(1, count)
    assert.is_nil(given)
    assert.equal(1, db.n)
  end)

  it("deletes where nil is returned", function()
    db.n = 1
    local count = select("#", db:update("n", function() return nil end))
    assert.equal(1, count)
    assert.is_false(db:has("n"))
    assert.is_nil((db:update("n", function() return nil end)))
    assert.is_false(db:has("n"))
  end)

  it("raises when the function forgets to return, and changes nothing", function()
    db.list = { 1 }
    local message = helper.error_of(db.update, db, "list", function(list) list[2] = 2 end)
    assert.matches("returned nothing: it must return the new value", message)
    assert.same({ 1 }, db.list)
  end)

  it("passes the error of the function, and changes nothing", function()
    db.n = 1
    local problem = { "problem" }
    local done, got = pcall(db.update, db, "n", function() error(problem) end)
    assert.is_false(done)
    assert.equal(problem, got)
    assert.equal(1, db.n)
    assert.equal(2, db:update("n", one_more))
  end)

  it("keeps the expiration", function()
    db:set("n", 1, { expiration = 4e12 })
    local left = db:ttl("n")
    db:update("n", one_more)
    assert.is_true(db:ttl("n") <= left and db:ttl("n") > left - 60)
    db:set("n", 1, { expiration = 1 })
    assert.equal(1, db:update("n", one_more))
    assert.equal(math.huge, db:ttl("n"))
  end)

  it("refuses what can't be stored, and changes nothing", function()
    db.n = 1
    for _, value in ipairs({ print, io.stdout, coroutine.create(function() end), { { print } } }) do
      fails("TYPE", db:update("n", function() return value end))
      fails("TYPE", db:update("absent", function() return value end))
    end
    assert.equal(1, db.n)
    assert.is_false(db:has("absent"))
  end)

  it("calls the function again when others write the key meanwhile", function()
    local other = assert(viperdb.open(path))
    local seen = {}
    local function change(n)
      seen[#seen + 1] = n
      if #seen == 1 then other.n = 10 end
      if #seen == 2 then other.n = nil end
      return n and n + 1 or 100
    end
    db.n = 1
    assert.equal(100, db:update("n", change))
    assert.same({ 1, 10 }, seen)
    assert.equal(100, db.n)
    other:close()
  end)

  it("calls the function again when the files were reclaimed meanwhile", function()
    local calls = 0
    db.n = 1
    assert.equal(2, db:update("n", function(n)
      calls = calls + 1
      if calls == 1 then assert(db:reclaim()) end
      return n + 1
    end))
    assert.equal(2, calls)
  end)

  it("doesn't mind writes of other keys", function()
    local calls = 0
    db:update("n", function()
      calls = calls + 1
      db.other = 1
      return 1
    end)
    assert.equal(1, calls)
  end)

  it("is the error CONFLICT when every try meets a write of others", function()
    local calls = 0
    local function disturbed(n)
      calls = calls + 1
      db.n = n + 1
      return 0
    end
    db.n = 0
    assert.matches("each of 100 tries", fails("CONFLICT", db:update("n", disturbed)))
    assert.equal(100, calls)
    assert.equal(100, db.n)
    fails("CONFLICT", db:update("n", disturbed, { tries = 3 }))
    assert.equal(103, calls)
    assert.equal(103, db.n)
  end)

  it("may be used inside its function for other keys", function()
    assert.equal(2, db:update("a", function()
      return db:update("b", one_more) + 1
    end))
    assert.equal(1, db.b)
    assert.equal(2, db.a)
    fails("CONFLICT", db:update("a", function()
      return db:update("a", one_more)
    end, { tries = 2 }))
    assert.equal(4, db.a)
  end)

  it("doesn't yield, and the store stays usable", function()
    local thread = coroutine.create(function()
      db:update("n", function() return coroutine.yield() end)
    end)
    local done, message = coroutine.resume(thread)
    assert.is_false(done)
    assert.matches("attempt to yield", message)
    assert.equal(1, db:update("n", one_more))
  end)

  it("fails with CLOSED when its function closes the store, and changes nothing", function()
    db.n = 1
    fails("CLOSED", db:update("n", function(n)
      db:close()
      return n + 1
    end))
    db = assert(viperdb.open(path))
    assert.equal(1, db.n)
    local n = db:update("n", function(old)
      assert(viperdb.open(path)):close()
      return old + 1
    end)
    assert.equal(2, n)
  end)

  it("doesn't call the function for a store that is closed or a value that can't be read", function()
    local function never() error("called") end
    local damaged = assert(viperdb.open(helper.copy_of("unreadable_values")))
    fails("UNSUPPORTED", damaged:update("pickled", never))
    fails("CORRUPT", damaged:update("not JSON", never))
    damaged:close()
    fails("CLOSED", damaged:update("pickled", never))
  end)

  it("is the error READONLY of a store that may only be read", function()
    local reader = assert(viperdb.open(path, { readonly = true }))
    fails("READONLY", reader:update("n", one_more))
    fails("READONLY", reader:incr("n"))
    fails("READONLY", reader:add("n", 1))
    assert.is_false(reader:replace("n", 1))
    assert.is_false(reader:cas("n", 1, 2))
    reader:close()
  end)

  it("lives through collections and finalizers inside its function", function()
    local text = ("some text "):rep(200)
    for i = 1, 200 do
      helper.call_when_collected(function() db["collected " .. i % 7] = { text } end)
      db:update("list", function(list)
        if i % 20 == 0 then collectgarbage() end
        list = list or {}
        list[#list + 1] = { i, text .. i }
        return list
      end)
    end
    local list = db.list
    assert.equal(200, #list)
    for i = 1, 200 do assert.same({ i, text .. i }, list[i]) end
    helper.call_when_collected(function() db:close() end)
    fails("CLOSED", db:update("list", function()
      collectgarbage()
      collectgarbage()
      return {}
    end))
  end)

  it("raises on wrong arguments", function()
    assert.matches("function expected", helper.error_of(db.update, db, "n"))
    assert.matches("function expected", helper.error_of(db.update, db, "n", 1))
    assert.matches("index is nil", helper.error_of(db.update, db, nil, one_more))
    assert.matches("index is NaN", helper.error_of(db.update, db, 0 / 0, one_more))
    assert.matches("not a table", helper.error_of(db.update, db, {}, one_more))
    assert.matches("unknown option 'limit'", helper.error_of(db.update, db, "n", one_more, { limit = 1 }))
    for _, tries in ipairs({ 0, 0.5, -1, 0 / 0, "1", false }) do
      assert.matches("'tries' must be", helper.error_of(db.update, db, "n", one_more, { tries = tries }))
    end
    assert.is_false(db:has("n"))
    assert.equal(1, db:update("n", one_more, { tries = math.huge }))
  end)
end)

describe("db:incr", function()
  it("adds one, or what it is told", function()
    assert.equal(1, db:incr("n"))
    assert.equal(2, db:incr("n"))
    assert.equal(12, db:incr("n", 10))
    assert.equal(5, db:incr("n", -7))
    assert.equal(5.25, db:incr("n", 0.25))
    assert.equal(5.25, db.n)
  end)

  it("starts an absent key at init", function()
    assert.equal(101, db:incr("a", 1, 100))
    assert.equal(102, db:incr("a", 1, 100))
    assert.equal(0.5, db:incr("b", nil, -0.5))
    db:set("c", 7, { expiration = 1 })
    assert.equal(1, db:incr("c"))
  end)

  it("keeps integers integers, and floats floats", function()
    assert.equal(helper.type_of(1), helper.type_of(db:incr("n")))
    assert.equal(helper.type_of(1), helper.type_of(db.n))
    assert.equal(helper.type_of(1.5), helper.type_of(db:incr("n", 0.5)))
    assert.equal(helper.type_of(2.5), helper.type_of(db:incr("n", 1)))
  end)

  it("keeps the expiration", function()
    db:set("n", 1, { ttl = 1000 })
    db:incr("n")
    assert.is_true(db:ttl("n") <= 1000)
    assert.equal(2, db.n)
  end)

  if math.maxinteger then
    it("is the error RANGE where an integer would overflow, and changes nothing", function()
      db.n = math.maxinteger - 1
      assert.equal(math.maxinteger, db:incr("n"))
      assert.matches('key "n": ', fails("RANGE", db:incr("n")))
      assert.equal(math.maxinteger, db.n)
      assert.equal(-1, db:incr("n", math.mininteger))
      db.n = math.mininteger
      fails("RANGE", db:incr("n", -1))
      assert.equal(math.mininteger, db.n)
      fails("RANGE", db:incr("absent", math.maxinteger, 1))
      assert.is_false(db:has("absent"))
    end)
  else
    it("is the error RANGE where a float would no longer count, and changes nothing", function()
      db.n = 2 ^ 53 - 2
      assert.equal(2 ^ 53 - 1, db:incr("n"))
      assert.matches('key "n": ', fails("RANGE", db:incr("n")))
      assert.equal(2 ^ 53 - 1, db.n)
      db.n = 1 - 2 ^ 53
      fails("RANGE", db:incr("n", -1))
      db.n = 2 ^ 60
      fails("RANGE", db:incr("n"))
      fails("RANGE", db:incr("n", -2 ^ 60))
      assert.equal(2 ^ 60, db.n)
    end)

    it("doesn't count on from an integer that it can't read exactly", function()
      local folder = helper.copy_of("wide_integers")
      for _, case in ipairs({ { nil, "RANGE" }, { "float", "RANGE" }, { "string", "TYPE" } }) do
        local store = assert(viperdb.open(folder, { integers = case[1] }))
        fails(case[2], store:incr("wide", -10))
        store:close()
      end
    end)
  end

  it("is the error RANGE where the sum is not finite, and changes nothing", function()
    db.n = 1e308
    fails("RANGE", db:incr("n", 1.7e308))
    fails("RANGE", db:incr("n", math.huge))
    fails("RANGE", db:incr("n", 0 / 0))
    assert.equal(1e308, db.n)
    db.n = math.huge
    fails("RANGE", db:incr("n", 0.5))
  end)

  it("is the error TYPE where the value is no number, and changes nothing", function()
    for _, value in ipairs({ "1", true, { 1 }, "\255", viperdb.null }) do
      db.n = value
      assert.matches('key "n": ', fails("TYPE", db:incr("n")))
      assert.same(value, db.n)
    end
  end)

  it("raises on wrong arguments", function()
    assert.matches("number expected", helper.error_of(db.incr, db, "n", "1"))
    assert.matches("number expected", helper.error_of(db.incr, db, "n", 1, "1"))
    assert.matches("number expected", helper.error_of(db.incr, db, "n", {}))
    assert.matches("index is nil", helper.error_of(db.incr, db, nil))
    assert.matches("value expected", helper.error_of(db.incr, db))
    assert.is_false(db:has("n"))
  end)

  it("is the error CLOSED of a closed store", function()
    db:close()
    fails("CLOSED", db:incr("n"))
    fails("CLOSED", db:add("n", 1))
    fails("CLOSED", db:replace("n", 1))
    fails("CLOSED", db:cas("n", nil, 1))
  end)
end)
