local core = require("viperdb.core")
local helper = require("spec.helper")
local viperdb = require("viperdb")
local class_name, fails, new_class = helper.class_name, helper.fails, helper.new_class

teardown(helper.clean)

local db, path

before_each(function()
  db, path = helper.store()
end)

after_each(function()
  db:close()
end)

describe("An object whose dump function fails", function()
  local plain
  local class = new_class({ dump = function() return plain() end, load = function(v) return v end })

  before_each(function()
    db.key = "as it was"
  end)

  after_each(function()
    assert.equal("as it was", db.key)
    assert.equal(1, #db)
  end)

  local function set(object)
    return db:set("key", { 1, object or setmetatable({}, class) })
  end

  it("passes on what it raises", function()
    plain = function() error({ "raised" }) end
    local done, message = pcall(set)
    assert.is_false(done)
    assert.same({ "raised" }, message)
    assert.is_false((pcall(function() db.key = setmetatable({}, class) end)))
  end)

  it("is refused for nil", function()
    plain = function() return nil end
    assert.equal("value[2]:dump() returned nil: a dump function returns the plain value", fails("TYPE", set()))
    plain = function() end
    fails("TYPE", set())
  end)

  it("is refused for what can't be stored, with its place", function()
    local thread = coroutine.create(function() end)
    plain = function() return thread end
    assert.matches("^value%[2%]:dump%(%) is a thread", fails("TYPE", set()))
    plain = function() return { list = { thread } } end
    assert.matches("^value%[2%]:dump%(%)%.list%[1%] is a thread", fails("TYPE", set()))
  end)

  it("is refused for the object itself", function()
    local object = setmetatable({}, class)
    plain = function() return object end
    assert.matches("^value%[2%]:dump%(%) leads back", fails("TYPE", set(object)))
    plain = function() return { inside = object } end
    assert.matches("^value%[2%]:dump%(%)%.inside leads back", fails("TYPE", set(object)))
  end)

  it("is refused for objects without end", function()
    plain = function() return setmetatable({}, class) end
    fails("TOO_BIG", set())
  end)

  it("can't yield", function()
    plain = coroutine.yield
    local done, message = coroutine.resume(coroutine.create(set))
    assert.is_false(done)
    assert.matches("yield", message)
  end)
end)

describe("A dump function that changes what is stored", function()
  local change
  local class = new_class({
    dump = function()
      change()
      return "plain"
    end,
    load = function(v) return v end,
  })

  local function read_back(value)
    return (assert(core.dump_decode(assert(core.dump_encode(value)))))
  end

  it("is followed where it adds and removes items behind its own", function()
    local value = { setmetatable({}, class), 2, 3 }
    change = function()
      for i = 4, 100 do value[i] = i end
      value[50] = nil
    end
    local result = read_back(value)
    assert.equal("plain", result[1])
    for i = 2, 49 do assert.equal(i, result[i]) end
    assert.is_nil(result[50])
    for i = 51, 100 do assert.equal(i, result[i]) end
  end)

  it("takes away keys whose turn comes later", function()
    local value = { a = 1, b = setmetatable({}, class), c = 3, d = 4 }
    change = function() value.a, value.c = nil, nil end
    assert.same({ a = 1, b = "plain", d = 4 }, read_back(value))
  end)

  it("does no harm by new keys and new values", function()
    local value = { b = setmetatable({}, class), c = 3 }
    change = function()
      for i = 1, 100 do value["new " .. i], value[i] = i, i end
      value.c = { "another" }
    end
    local result = read_back(value)
    assert.equal("plain", result.b)
    assert.same({ "another" }, result.c)
  end)
end)

describe("The functions of a class", function()
  it("can use the store that they work for", function()
    local class
    class = new_class({
      dump = function(object)
        db.log = ("dumped "):rep(1000) .. (db.log and #db.log or 0)
        return object.value
      end,
      load = function(value)
        return setmetatable({ value = value, log = #db.log, wide = ("wide"):rep(10) }, class)
      end,
    })
    local text = ("a long text "):rep(1000)
    db.key = { setmetatable({ value = text }, class), setmetatable({ value = "\255" .. text }, class), text }
    for _ = 1, 3 do
      local value = db.key
      assert.equal(text, value[1].value)
      assert.equal("\255" .. text, value[2].value)
      assert.equal(text, value[3])
    end
  end)

  it("can store and read objects of their own class meanwhile", function()
    local class
    local depth = 0
    class = new_class({
      dump = function(object)
        depth = depth + 1
        if depth < 5 then db["inner " .. depth] = setmetatable({ n = object.n + 1 }, class) end
        depth = depth - 1
        return object.n
      end,
      load = function(n) return setmetatable({ n = n, inner = db["inner " .. n + 1] }, class) end,
    })
    db.key = setmetatable({ n = 0 }, class)
    assert.equal(4, db.key.inner.inner.inner.inner.n)
  end)

  it("can close the store: the write is the error CLOSED, the read goes on", function()
    local class = new_class({
      dump = function()
        db:close()
        return 1
      end,
      load = function(value)
        db:close()
        return { value }
      end,
    })
    fails("CLOSED", db:set("key", setmetatable({}, class)))
    db = assert(viperdb.open(path))
    assert.is_nil(db.key)
    local other = assert(viperdb.open(path))
    local store = db
    db = other
    db.unrelated = true
    store:close()
    db = assert(viperdb.open(path))
    assert.is_true(db.unrelated)
    other:close()
  end)

  it("can close the store while it is read", function()
    local class = new_class({
      dump = function() return ("wide"):rep(1000) end,
      load = function(value)
        db:close()
        collectgarbage()
        return { value }
      end,
    })
    db.key = { setmetatable({}, class), setmetatable({ 2 }, class), "after" }
    local value = db.key
    assert.equal(("wide"):rep(1000), value[2][1])
    assert.equal("after", value[3])
    assert.equal("CLOSED", select(3, db:get("key")))
    db = assert(viperdb.open(path))
  end)

  it("can register, and run the collector", function()
    local class, name
    local function hooks(version)
      return {
        dump = function()
          collectgarbage()
          viperdb.register(name, class, hooks(version + 1))
          viperdb.register(class_name(), {})
          return { version }
        end,
        load = function(value)
          collectgarbage()
          viperdb.register(name, class, hooks(version + 1))
          return { value[1] }
        end,
      }
    end
    class, name = new_class()
    viperdb.register(name, class, hooks(1))
    db.key = { setmetatable({}, class), setmetatable({}, class), setmetatable({}, class) }
    assert.same({ { 1 }, { 2 }, { 3 } }, db.key)
  end)

  it("can drop the values that they are called for", function()
    local value
    local class = new_class({
      dump = function()
        for i = #value, 1, -1 do value[i] = nil end
        collectgarbage()
        collectgarbage()
        return { "plain" }
      end,
      load = function(v) return v[1] end,
    })
    value = { { "before" }, setmetatable({}, class), { "after" } }
    db.key = value
    assert.same({ { "before" }, "plain" }, db.key)
  end)

  it("are called once for an object, and not for one that was made and dropped at its address", function()
    local class = new_class({
      dump = function(object)
        if object.inner then return { setmetatable({ n = object.n }, getmetatable(object)) } end
        collectgarbage()
        return object.n
      end,
      load = function(value) return value end,
    })
    local list = {}
    for i = 1, 50 do list[i] = setmetatable({ n = i, inner = true }, class) end
    db.key = list
    local result = db.key
    for i = 1, 50 do assert.same({ i }, result[i]) end
  end)
end)

describe("A finalizer that changes what is stored", function()
  -- Most of what is allocated for a dump is memory for the keys of a table, so that is when most finalizers run.
  local function dump_while(change)
    local dumped = 0
    for round = 1, 100 do
      local value = {}
      for i = 1, 100 do
        value[i] = { i }
        for k = 1, 20 do value[i]["key " .. k] = k end
      end
      for n = 1, 20 do
        helper.call_when_collected(function()
          for _, inner in ipairs(value) do change(inner, n) end
        end)
      end
      collectgarbage("step", round)
      local bytes, message, code = core.dump_encode(value)
      if bytes then
        dumped = dumped + 1
        assert.is_table(core.dump_decode(bytes))
      else
        assert.equal("TYPE", code)
        assert.matches("^value%[%d+%] was changed by a function while it was being stored$", message)
      end
    end
    assert.is_true(dumped > 0)
  end

  it("does no harm by adding items in place of keys", function()
    dump_while(function(inner, n) inner["key " .. n], inner[#inner + 1] = nil, "one more" end)
  end)

  it("does no harm by adding keys", function()
    dump_while(function(inner, n) inner[n + 0.5] = n end)
    dump_while(function(inner, n) inner[("new "):rep(10) .. n] = n end)
  end)

  it("does no harm by long keys in place of short ones", function()
    dump_while(function(inner, n) inner["key " .. n], inner[("new "):rep(10) .. n] = nil, n end)
  end)

  it("does no harm by removing items and keys", function()
    dump_while(function(inner, n) inner[n], inner["key " .. n] = nil, nil end)
  end)
end)
