-- What can be done with tx and with the store inside a transaction, and what can't.
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

describe("A transaction's tx", function()
  it("is refused when it is over", function()
    local kept
    db:transaction(function(tx) kept = tx end)
    local calls = {
      function() return kept.a end, function() kept.a = 1 end, function() return kept:get("a") end,
    }
    for _, call in ipairs(calls) do assert.matches("transaction is over", helper.error_of(call)) end
    for _, name in ipairs({ "get", "has", "delete", "set" }) do
      local method
      db:transaction(function(tx)
        method = tx[name]
        assert.matches("transaction is over", helper.error_of(method, kept, "a", 1))
      end)
      assert.matches("transaction is over", helper.error_of(method, kept, "a", 1))
    end
    helper.error_of(db.transaction, db, function(tx)
      kept = tx
      error()
    end)
    assert.matches("transaction is over", helper.error_of(calls[1]))
    assert.equal("viperdb transaction: " .. path, tostring(kept))
    assert.equal(0, #db)
  end)

  it("has the names of the store's methods, and its own methods", function()
    db:set("pairs", "a key")
    db:transaction(function(tx)
      for _, name in ipairs({ "get", "set", "has", "delete" }) do assert.equal("function", type(tx[name])) end
      for _, name in ipairs({ "pairs", "transaction", "close", "snapshot" }) do assert.is_nil(tx[name]) end
      assert.matches("'close' is a method's name: .* tx:set%(\"close\", value%)",
        helper.error_of(function() tx.close = 1 end))
      assert.equal("a key", tx:get("pairs"))
      tx:set("get", "another")
      assert.equal("another", tx:get("get"))
    end)
    assert.equal("another", db:get("get"))
  end)

  it("raises on wrong arguments", function()
    db:transaction(function(tx)
      local function raises(expected, f, ...)
        assert.matches(expected, helper.error_of(f, ...))
      end
      raises("index is nil", function() tx[nil] = 1 end)
      raises("index is NaN", function() tx[0 / 0] = 1 end)
      raises("index is nil", tx.set, tx, nil, 1)
      raises("not a table", function() return tx[{}] end)
      raises("not a table", function() tx[{}] = 1 end)
      raises("not a function", tx.get, tx, print)
      raises("value expected", tx.set, tx, "a")
      raises("value expected", tx.get, tx)
      raises("unknown option 'TTL'", tx.set, tx, "a", 1, { TTL = 1 })
      raises("viperdb transaction expected, got userdata", tx.get, db, "a")
      raises("viperdb transaction expected, got table", tx.get, setmetatable({}, getmetatable(tx)), "a")
      raises("viperdb store expected", db.get, tx, "a")
    end)
    assert.matches("function expected", helper.error_of(db.transaction, db))
    assert.matches("function expected", helper.error_of(db.transaction, db, {}))
    assert.matches("'tries' must be", helper.error_of(db.transaction, db, print, { tries = 0 }))
    assert.equal(0, #db)
  end)

  it("gives the codes of what can't be stored or read", function()
    db:transaction(function(tx)
      fails("TYPE", tx:set("a", print))
      local long = ("k"):rep(65537)
      for _, name in ipairs({ "get", "set", "has", "delete" }) do fails("TOO_BIG", tx[name](tx, long, 1)) end
      assert.matches("65537 bytes", helper.error_of(function() tx[long] = nil end))
      tx.b = 1
    end)
    assert.same({ "b" }, (helper.collect(db:keys())))
  end)

  it("raises and fails where the store is damaged", function()
    local damaged = assert(viperdb.open(helper.copy_of("unreadable_values")))
    damaged:transaction(function(tx)
      fails("UNSUPPORTED", tx:get("pickled"))
      assert.matches("JSON", helper.error_of(function() return tx["not JSON"] end))
      assert.is_true(tx:has("not JSON"))
      tx["not JSON"] = tx.after
    end)
    assert.equal(1, damaged["not JSON"])
    damaged:close()
  end)
end)

describe("In a transaction", function()
  it("another one of the same handle is refused, and of another handle is not", function()
    local other = assert(viperdb.open(path))
    db:transaction(function(tx)
      tx.a = 1
      assert.matches("use its tx, or open another handle", helper.error_of(db.transaction, db, print))
      assert.is_true(other:transaction(function(inner) inner.b = inner.a or "none" end))
    end)
    assert.equal(1, db.a)
    assert.equal("none", db.b)
    other:close()
  end)

  it("the store itself can be used, which is no part of it", function()
    helper.error_of(db.transaction, db, function()
      db:incr("tries")
      db:update("list", function() return { 1 } end)
      error()
    end)
    assert.equal(1, db.tries)
    assert.same({ 1 }, db.list)
  end)

  it("the store can be closed: it is CLOSED then, and nothing is written", function()
    fails("CLOSED", db:transaction(function(tx)
      tx.a = 1
      db:close()
      fails("CLOSED", tx:get("a"))
      fails("CLOSED", tx:get("b"))
      fails("CLOSED", tx:set("b", 1))
      fails("CLOSED", tx:delete("a"))
      fails("CLOSED", tx:has("a"))
      assert.matches("closed store", helper.error_of(function() return tx.a end))
      assert.matches("closed store", helper.error_of(function() tx.a = nil end))
      return true
    end))
    fails("CLOSED", db:transaction(error))
    db = assert(viperdb.open(path))
    assert.equal(0, #db)
  end)

  it("another handle can be closed", function()
    db:transaction(function(tx)
      tx.a = tx.a or 1
      local other = assert(viperdb.open(path))
      other.b = 1
      other:close()
    end)
    assert.equal(2, #db)
  end)

  it("objects of classes can use it", function()
    local Box = {}
    local tx_now
    viperdb.register("transaction_spec.Box", Box, {
      dump = function(box)
        tx_now["dumped " .. box.name] = true
        return box.name
      end,
      load = function(name)
        if tx_now then tx_now["loaded " .. name] = tx_now["dumped " .. name] end
        return setmetatable({ name = name }, Box)
      end,
    })
    db:transaction(function(tx)
      tx_now = tx
      tx.box = setmetatable({ name = "one" }, Box)
      assert.equal("one", tx.box.name)
      assert.is_true(tx["loaded one"])
    end)
    tx_now = nil
    assert.equal("one", db.box.name)
    assert.is_true(db["dumped one"])
    assert.is_true(db["loaded one"])
  end)

  it("finalizers may use the store at any time", function()
    local ran = 0
    local function disturb()
      ran = ran + 1
      db:incr("finalized")
      pcall(db.transaction, db, function(tx) tx.inner = (tx.inner or 0) + 1 end)
    end
    local text = ("some text "):rep(200)
    for i = 1, 300 do
      helper.call_when_collected(disturb)
      db:transaction(function(tx)
        tx.n = (tx.n or 0) + 1
        tx["text " .. i % 5] = { text .. i }
        assert.same({ text .. i }, tx["text " .. i % 5])
        for j = 1, 10 do tx[j] = { i, j } end
      end)
      if i % 10 == 0 then collectgarbage("step", 200) end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(300, db.n)
    assert.same({ 300, 10 }, db[10])
    assert.equal(300, ran)
    assert.equal(300, db.finalized)
  end)

  it("a finalizer may close the store at any time", function()
    local tables = {}
    for i = 1, 100 do tables[i] = { i } end
    db.tables = tables
    collectgarbage()
    collectgarbage()
    helper.call_when_collected(function() db:close() end)
    local code
    repeat
      local _
      _, _, code = db:transaction(function(tx)
        tx:set("copy", tx:get("tables"))
        tx:set("tables", tables)
      end)
    until code
    assert.equal("CLOSED", code)
  end)
end)
