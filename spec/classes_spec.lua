local core = require("viperdb.core")
local difference = require("spec.same").difference
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

-- Hooks that store the fields as a list of name and value.
local function list_hooks(class_of)
  return {
    dump = function(object)
      local list = {}
      for name, value in next, object do list[#list + 1] = { name, value } end
      return list
    end,
    load = function(list)
      local object = {}
      for _, pair in ipairs(list) do object[pair[1]] = pair[2] end
      return setmetatable(object, class_of())
    end,
  }
end

local function new_listed_class()
  local class
  class = new_class(list_hooks(function() return class end))
  return class
end

describe("viperdb.register", function()
  local function raises(expected, ...)
    assert.matches(expected, helper.error_of(viperdb.register, ...), 1, true)
  end

  it("wants a name", function()
    raises("string expected", nil, {})
    raises("string expected", 1, {})
    raises("not empty", "", {})
    raises("255 bytes", ("n"):rep(256), {})
    viperdb.register(("n"):rep(255), {})
  end)

  it("wants a metatable", function()
    raises("table expected", class_name())
    raises("table expected", class_name(), "metatable")
  end)

  it("wants both functions or none", function()
    local f = function() end
    raises("table expected", class_name(), {}, f)
    raises("come together", class_name(), {}, { dump = f })
    raises("come together", class_name(), {}, { load = f })
    raises("must be functions", class_name(), {}, { dump = f, load = "f" })
    raises("'dump' and 'load'", class_name(), {}, { dump = f, load = f, store = f })
    raises("'dump' and 'load'", class_name(), {}, { f })
    viperdb.register(class_name(), {}, {})
  end)

  it("refuses a second metatable under one name, and tells the name", function()
    local _, name = new_class()
    raises('"' .. name .. '" is already registered with another metatable', name, {})
  end)

  it("refuses a second name of one metatable, and tells the first", function()
    local class, name = new_class()
    raises('already registered as "' .. name .. '"', class_name(), class)
  end)

  it("refuses what a JSON library marks its tables with", function()
    local loaded, marker = package.loaded.cjson, {}
    package.loaded.cjson = { array_mt = marker }
    raises("marker of a JSON library", class_name(), marker)
    package.loaded.cjson = loaded
  end)

  it("registers nothing when it raises", function()
    local class, name = {}, class_name()
    raises("come together", name, class, { dump = print })
    viperdb.register(name, {})
    raises("another metatable", name, class)
  end)

  it("takes the same pair again, with other functions", function()
    local class, name = new_class()
    viperdb.register(name, class)
    viperdb.register(name, class, { dump = function() return "dumped" end, load = function(v) return { v } end })
    assert.same({ "dumped" }, core.dump_decode(core.dump_encode(setmetatable({}, class))))
    viperdb.register(name, class)
    assert.equal(class, getmetatable(core.dump_decode(core.dump_encode(setmetatable({}, class)))))
  end)

  it("keeps what it was given alive", function()
    local class, name = new_class({ dump = function() return 1 end, load = function() return "loaded" end })
    local bytes = core.dump_encode(setmetatable({}, class))
    class = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal("loaded", core.dump_decode(bytes))
    raises("another metatable", name, {})
  end)
end)

describe("An object of a registered class", function()
  -- The value after a way through the files.
  local function stored(value)
    db.key = value
    db:close()
    db = assert(viperdb.open(path))
    return db.key
  end

  it("comes back with its metatable", function()
    local class = new_class()
    function class:length() return math.sqrt(self.x * self.x + self.y * self.y) end
    local point = stored(setmetatable({ x = 3, y = 4 }, class))
    assert.equal(class, getmetatable(point))
    assert.equal(5, point:length())
  end)

  it("comes back inside, beside others, shared and in cycles", function()
    local one, other = new_class(), new_class()
    local a, b, c = setmetatable({}, one), setmetatable({ 1, 2, x = 3 }, one), setmetatable({}, other)
    a.me, a.list = a, { b, c, a }
    local value = { a, b, c, [0] = a }
    assert.is_nil(difference(value, stored(value)))
  end)

  it("is asked by no metamethod", function()
    local asked = {}
    local class = setmetatable({}, { __index = function() asked[#asked + 1] = "class" end })
    for _, name in ipairs({ "__index", "__newindex", "__len", "__pairs", "__ipairs", "__eq", "__call" }) do
      class[name] = function() asked[#asked + 1] = name end
    end
    class.__metatable = "locked"
    viperdb.register(class_name(), class)
    local object = stored(setmetatable({ 1, 2, name = "x" }, class))
    assert.equal("locked", getmetatable(object))
    assert.equal(1, rawget(object, 1))
    assert.equal("x", rawget(object, "name"))
    assert.same({}, asked)
  end)

  it("with weak keys or values comes back with them", function()
    local class = new_class()
    class.__mode = "kv"
    local keep = { "kept" }
    local object = stored(setmetatable({ keep, 1, name = keep }, class))
    assert.equal(class, getmetatable(object))
    assert.equal(1, rawget(object, 2))
  end)

  it("has its name in the bytes once", function()
    local class, name = new_class()
    local list = {}
    for i = 1, 10 do list[i] = setmetatable({ i }, class) end
    local bytes = core.dump_encode(list)
    assert.equal(1, select(2, bytes:gsub(name, "")))
    assert.is_nil(difference(list, core.dump_decode(bytes)))
  end)

  it("with functions of its own is dumped and loaded by them", function()
    local class = new_listed_class()
    local value = { setmetatable({ x = 1 }, class), setmetatable({ y = 0 / 0 }, class) }
    assert.is_nil(difference(value, stored(value)))
  end)

  it("with functions of its own is one when it is there twice", function()
    local class = new_listed_class()
    local object = setmetatable({ x = 1 }, class)
    local value = stored({ object, object, inside = { object } })
    assert.equal(value[1], value[2])
    assert.equal(value[1], value.inside[1])
  end)

  it("can hold others of its class", function()
    local class = new_listed_class()
    local value = setmetatable({ next = setmetatable({ next = setmetatable({ last = true }, class) }, class) }, class)
    assert.is_nil(difference(value, stored(value)))
  end)

  it("can be dumped as anything that can be stored", function()
    local plain
    local class = new_class({ dump = function() return plain end, load = function(v) return { loaded = v } end })
    for _, value in ipairs({ "text", "\255", 1, 0.5, true, false, viperdb.null, { 1, x = { 2 } } }) do
      plain = value
      assert.is_nil(difference({ loaded = value }, stored(setmetatable({}, class))))
    end
  end)

  it("can be loaded as anything but nil", function()
    local result
    local class = new_class({ dump = function() return 1 end, load = function() return result end })
    db.key = { setmetatable({}, class) }
    for _, value in ipairs({ "text", false, 0.5, print }) do
      result = value
      assert.equal(value, db.key[1])
    end
    result = nil
    assert.matches("returned nil", fails("TYPE", db:get("key")))
  end)

  it("may be a userdata, when it has functions", function()
    local class = getmetatable(io.stdout)
    local name = class_name()
    viperdb.register(name, class)
    assert.matches("^value%[1%] is a userdata of a class without a dump function",
      fails("TYPE", db:set("key", { io.stdout })))
    viperdb.register(name, class, {
      dump = function(file) return file == io.stdout and "stdout" or "stderr" end,
      load = function(stream) return io[stream] end,
    })
    local value = stored({ io.stdout, io.stderr, io.stdout })
    assert.same({ io.stdout, io.stderr, io.stdout }, value)
    viperdb.register(name, class)
  end)

  it("is written field by field where it was registered without functions, and stays so", function()
    local class, name = new_class()
    db.key = setmetatable({ x = 1 }, class)
    viperdb.register(name, class, { dump = error, load = error })
    assert.is_nil(difference(setmetatable({ x = 1 }, class), db.key))
  end)
end)

describe("An object that can't be read", function()
  it("is the error UNSUPPORTED where its class is unknown, and names it", function()
    helper.run([[
      local Account = {}
      viperdb.register("Account", Account)
      local db = assert(viperdb.open(arg[1]))
      db.key = { setmetatable({ balance = 1 }, Account) }
      db:close()
    ]], path)
    assert.matches('the class "Account"', fails("UNSUPPORTED", db:get("key")))
    assert.matches('the class "Account"', helper.error_of(function() return db.key end))
    local Account = {}
    viperdb.register("Account", Account)
    assert.equal(Account, getmetatable(db.key[1]))
  end)

  it("loads nothing that has the name of its class", function()
    local name = "viperdb_spec_module"
    package.preload[name] = function() error("was required") end
    local bytes = "\1\7" .. string.char(0xB0 + #name) .. name .. "\0\0"
    assert.matches(name, fails("UNSUPPORTED", core.dump_decode(bytes)))
    fails("UNSUPPORTED", core.dump_decode("\1\7\182string\0\0"))
    package.preload[name] = nil
  end)

  it("is the error UNSUPPORTED where its class has no load function", function()
    local class, name = new_class({ dump = function() return 1 end, load = function() return {} end })
    db.key = setmetatable({}, class)
    viperdb.register(name, class)
    assert.matches('the class "' .. name .. '", which is registered here without', fails("UNSUPPORTED", db:get("key")))
  end)

  it("is the error CORRUPT when its bytes make no sense", function()
    local _, name = new_class({ dump = error, load = function(v) return { v } end })
    local class = string.char(0xB0 + #name) .. name
    assert.is_table(core.dump_decode("\1\8" .. class .. "\33"))
    local wrong = {
      ["3: the name of a class has"] = "\1\6\7\176\0\0\0\0",
      ["2: the number of something before"] = "\1\7\32\0\0",
      ["2: it ends too early"] = "\1\7",
      ["an object inside the plain value"] = "\1\8" .. class .. "\10\32",
      [(7 + #name) .. ": the name of a class that came before"] =
        "\1\6\7" .. class .. "\0\0\7" .. class .. "\0\0\0\0",
    }
    for expected, bytes in pairs(wrong) do
      assert.matches(expected, fails("CORRUPT", core.dump_decode(bytes)), 1, true)
    end
    local long = ("n"):rep(256)
    assert.matches("1 to 255 bytes", fails("CORRUPT", core.dump_decode("\1\7\241\0\1" .. long .. "\0\0")))
  end)

  it("has no metatable while it is not whole", function()
    local finalized = 0
    local class, name = new_class()
    class.__gc = function() finalized = finalized + 1 end
    local cut = "\1\7" .. string.char(0xB0 + #name) .. name .. "\33\34"
    fails("CORRUPT", core.dump_decode(cut))
    collectgarbage()
    collectgarbage()
    assert.equal(0, finalized)
  end)

  it("passes on what its load function raises", function()
    local class = new_class({ dump = function() return 1 end, load = function() error({ "raised" }) end })
    db.key = { setmetatable({}, class) }
    for _, read in ipairs({ function() return db.key end, function() return db:get("key") end, db:pairs() }) do
      local done, message = pcall(read)
      assert.is_false(done)
      assert.same({ "raised" }, message)
    end
    db.other = 1
    assert.equal(1, db.other)
  end)

  it("can't yield while it is loaded", function()
    local class = new_class({ dump = function() return 1 end, load = function() return coroutine.yield() end })
    db.key = setmetatable({}, class)
    local done, message = coroutine.resume(coroutine.create(function() return db.key end))
    assert.is_false(done)
    assert.matches("yield", message)
  end)
end)
