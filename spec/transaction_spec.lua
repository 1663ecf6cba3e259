-- Transactions: what is read, written, tried again and rolled back.
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

describe("A transaction", function()
  it("writes when its function returns", function()
    local other = assert(viperdb.open(path))
    db.gone = 1
    local result = db:transaction(function(tx)
      tx.a = 1
      tx[2] = { "two" }
      tx:set("c", "three")
      tx.gone = nil
      assert.is_nil(db.a)
      assert.is_nil(other.c)
      assert.equal(1, other.gone)
      return "done"
    end)
    assert.equal("done", result)
    assert.equal(1, other.a)
    assert.same({ "two" }, other[2])
    assert.equal("three", other.c)
    assert.is_false(other:has("gone"))
    other:close()
  end)

  it("returns all that its function returns, or true for nothing", function()
    local function results(...)
      return { n = select("#", ...), ... }
    end
    assert.same({ n = 3, 1, nil, nil }, results(db:transaction(function() return 1, nil, nil end)))
    assert.same({ n = 1, nil }, results(db:transaction(function() return nil end)))
    assert.same({ n = 1, true }, results(db:transaction(function() end)))
    local many = {}
    for i = 1, 200 do many[i] = i end
    assert.same(many, { db:transaction(function(tx)
      tx.a = 1
      return (table.unpack or unpack)(many) -- luacheck: ignore
    end) })
  end)

  it("reads the store as it was at one moment", function()
    db.a, db.b = 1, 1
    local other = assert(viperdb.open(path))
    local seen = db:transaction(function(tx)
      local a = tx.a
      other.a, other.b, other.c = 2, 2, 2
      assert.equal(2, db.b)
      return { a, tx.b, tx:get("b"), tx:has("c"), tx.c or "none", tx.a }
    end)
    assert.same({ 1, 1, 1, false, "none", 1 }, seen)
    other:close()
  end)

  it("reads what it wrote itself", function()
    db.a, db.b = 1, 1
    db:transaction(function(tx)
      tx.a = 2
      assert.equal(2, tx.a)
      tx.a = nil
      assert.is_nil(tx.a)
      assert.is_false(tx:has("a"))
      assert.is_false(tx:delete("a"))
      tx.a = { { 3 } }
      assert.same({ { 3 } }, tx.a)
      assert.is_true(tx:has("a"))
      assert.is_true(tx:delete("a"))
      assert.is_false(tx:delete("a"))
      assert.is_true(tx:delete("b"))
      tx[1.0] = "one"
      assert.equal("one", tx[1])
      tx["1"] = "a string"
      assert.equal("one", tx[1])
      tx.bytes, tx.mixed, tx.no = "\255\0", { 1, x = 2 }, false
      assert.equal("\255\0", tx.bytes)
      assert.same({ 1, x = 2 }, tx.mixed)
      assert.is_false(tx.no)
      assert.is_nil(tx[nil])
      assert.is_nil(tx[0 / 0])
      assert.is_false(tx:has(nil))
      assert.is_false(tx:delete(nil))
    end)
    assert.is_false(db:has("a"))
    assert.is_false(db:has("b"))
    assert.equal("one", db[1])
    assert.equal("a string", db["1"])
    assert.equal("\255\0", db.bytes)
  end)

  it("keeps a value as it was when it was written", function()
    db:transaction(function(tx)
      local list = { 1 }
      tx.list = list
      list[2] = 2
      assert.same({ 1 }, tx.list)
      tx.list[1] = "changed"
    end)
    assert.same({ 1 }, db.list)
  end)

  it("writes keys in the order of its writes", function()
    db:transaction(function(tx)
      for i = 20, 1, -1 do tx["key " .. i] = i end
      tx["key 15"] = "again"
    end)
    local keys = helper.collect(db:keys())
    assert.equal("key 20", keys[1])
    assert.equal("key 14", keys[6])
    assert.equal("key 1", keys[19])
    assert.equal("key 15", keys[20])
  end)

  it("takes an expiration as db:set does", function()
    db:transaction(function(tx)
      tx:set("a", 1, { ttl = 1000 })
      tx:set("past", 1, { expiration = 1 })
      assert.equal(1, tx.a)
      assert.is_nil(tx.past)
      assert.is_false(tx:has("past"))
    end)
    assert.is_true(db:ttl("a") <= 1000)
    assert.is_nil(db.past)
    db:transaction(function(tx) tx.a = 2 end)
    assert.equal(math.huge, db:ttl("a"))
  end)

  it("may be large", function()
    db:transaction(function(tx)
      for i = 1, 3000 do tx[i] = { i } end
      for i = 1, 3000, 3 do tx[i] = nil end
    end)
    assert.equal(2000, #db)
    assert.same({ 2 }, db[2])
    assert.is_nil(db[3 * 333 + 1])
    local text = ("text"):rep(100000)
    db:transaction(function(tx)
      tx.text = text
      assert.equal(text, tx.text)
    end)
    assert.equal(text, db.text)
  end)

  it("that writes nothing leaves the files as they are", function()
    db.a = 1
    local before = db:stats().key_log_bytes
    assert.equal(1, db:transaction(function(tx) return tx.a end))
    db:transaction(function(tx)
      tx.absent = nil
      tx:delete("absent")
    end)
    assert.equal(before, db:stats().key_log_bytes)
    db:close()
    local reader = assert(viperdb.open(path, { readonly = true }))
    assert.equal(1, reader:transaction(function(tx) return tx.a end))
    fails("READONLY", reader:transaction(function(tx) tx.a = 2 end))
    assert.equal(1, reader.a)
    reader:close()
  end)
end)

describe("A transaction that meets a write of others", function()
  it("is forgotten, and its function called again", function()
    local other = assert(viperdb.open(path))
    db.n = 1
    local calls, first = 0, nil
    db:transaction(function(tx)
      calls = calls + 1
      if calls == 1 then first = tx end
      local n = tx.n
      tx["try " .. calls] = true
      if calls == 1 then other.n = 10 end
      tx.n = n + 1
    end)
    assert.equal(2, calls)
    assert.equal(11, db.n)
    assert.is_false(db:has("try 1"))
    assert.is_true(db["try 2"])
    assert.matches("transaction is over", helper.error_of(function() return first.n end))
    other:close()
  end)

  it("conflicts when what it looked for was made or deleted", function()
    for _, look in ipairs({ "get", "has", "delete" }) do
      local calls = 0
      db.there = 1
      db:transaction(function(tx)
        calls = calls + 1
        tx[look](tx, "absent")
        tx[look](tx, "there")
        if calls == 1 then db.absent = 1 end
        if calls == 2 then db.there = nil end
        tx.done = calls
      end)
      assert.equal(3, calls)
      assert.equal(3, db.done)
      db.absent = nil
    end
  end)

  it("doesn't mind writes of keys that it didn't read", function()
    local calls = 0
    db:transaction(function(tx)
      calls = calls + 1
      db.a, db.b = calls, calls
      tx.a = "written without a look"
      tx.c = "c"
      assert.equal("c", tx.c)
      db.c = calls
    end)
    assert.equal(1, calls)
    assert.equal("written without a look", db.a)
    assert.equal("c", db.c)
  end)

  it("doesn't mind any when it only reads", function()
    local calls = 0
    db.a = 1
    assert.equal(1, db:transaction(function(tx)
      calls = calls + 1
      local a = tx.a
      db.a = 2
      return a
    end))
    assert.equal(1, calls)
  end)

  it("is the error CONFLICT when it happens in every try", function()
    local calls = 0
    local function disturbed(tx)
      calls = calls + 1
      db.n = (tx.n or 0) + 1
      tx.never = calls
      return "never"
    end
    assert.matches("each of 100 tries", fails("CONFLICT", db:transaction(disturbed)))
    assert.equal(100, calls)
    assert.equal(100, db.n)
    fails("CONFLICT", db:transaction(disturbed, { tries = 2 }))
    assert.equal(102, calls)
    assert.is_false(db:has("never"))
  end)

  it("is called again after a reclaim", function()
    local calls = 0
    db.n = 1
    db:transaction(function(tx)
      calls = calls + 1
      tx.n = tx.n + 1
      if calls == 1 then assert(db:reclaim()) end
      assert.equal(1, tx:get("n") - 1)
    end)
    assert.equal(2, calls)
    assert.equal(2, db.n)
  end)
end)

describe("A transaction whose function raises", function()
  it("writes nothing, and the error passes", function()
    local problem = { "problem" }
    db.a = 1
    local done, got = pcall(db.transaction, db, function(tx)
      tx.a, tx.b = 2, 2
      error(problem)
    end)
    assert.is_false(done)
    assert.equal(problem, got)
    assert.equal(1, db.a)
    assert.is_false(db:has("b"))
    assert.matches("%d: text", helper.error_of(db.transaction, db, function() error("text") end))
    assert.is_true(db:transaction(function(tx) tx.a = 3 end))
    assert.equal(3, db.a)
  end)

  it("holds no old files", function()
    local function old_files()
      local count = 0
      for line in io.lines("/proc/self/maps") do
        if line:find(path, 1, true) and line:find("(deleted)", 1, true) then count = count + 1 end
      end
      return count
    end
    db.a = 1
    collectgarbage("stop")
    helper.error_of(db.transaction, db, function(tx) error(tx.a) end)
    db:transaction(function(tx) tx.a = tx.a + 1 end)
    assert(db:reclaim())
    assert.equal(2, db.a)
    local after = old_files()
    local during = db:transaction(function(tx)
      assert(db:reclaim())
      return db.a + tx.a + old_files()
    end)
    collectgarbage("restart")
    assert.equal(0, after)
    assert.is_true(during > 4)
  end)

  it("may catch errors and go on", function()
    db:transaction(function(tx)
      tx.a = 1
      assert.matches("function", helper.error_of(function() tx.b = print end))
      fails("TYPE", tx:set("c", io.stdout))
      pcall(error)
      tx.d = 1
    end)
    assert.same({ "a", "d" }, (helper.collect(db:keys())))
  end)

  it("can't yield, and the store stays usable", function()
    local thread = coroutine.create(function()
      db:transaction(function(tx)
        tx.a = 1
        coroutine.yield()
      end)
    end)
    local done, message = coroutine.resume(thread)
    assert.is_false(done)
    assert.matches("attempt to yield", message)
    assert.is_true(db:transaction(function(tx) tx.b = 1 end))
    assert.is_nil(db.a)
    assert.equal(1, db.b)
  end)
end)
