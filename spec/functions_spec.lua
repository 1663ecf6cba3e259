local core = require("viperdb.core")
local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

-- The call fails with this code and a message, which is returned.
local function fails(code, ...)
  local result, message, got = ...
  assert.is_nil(result)
  assert.equal(code, got)
  return message
end

describe("A function", function()
  local path, db

  before_each(function()
    db, path = helper.store({ functions = true })
  end)

  after_each(function()
    db:close()
  end)

  -- What a chunk returns; its globals are those of the program, and not of the spec.
  local function evaluate(source)
    return assert((loadstring or load)(source))() -- luacheck: ignore 113
  end

  it("comes back from a store that takes functions", function()
    db.key = evaluate("return function(a, b) return a .. b end")
    db:close()
    db = assert(viperdb.open(path, { functions = true }))
    assert.equal("xy", db.key("x", "y"))
  end)

  it("uses the globals of where it is loaded", function()
    db.key = evaluate("return function() return type(print) end")
    assert.equal("function", db.key())
  end)

  it("that is there twice is one", function()
    local f = evaluate("return function() return 1 end")
    db.key = { f, f, inside = { f } }
    local value = db.key
    assert.equal(1, value[1]())
    assert.equal(value[1], value[2])
    assert.equal(value[1], value.inside[1])
  end)

  it("is refused when it uses something from around it", function()
    local f = evaluate("local outside = 1 return function() return outside end")
    assert.matches("^value%.f is a function that uses 'outside'", fails("TYPE", db:set("key", { f = f })))
    f = evaluate("local outside = 1 return function() return print, outside end")
    assert.matches("'outside'", fails("TYPE", db:set("key", f)))
    assert.is_nil(db.key)
  end)

  it("is refused when it has an environment of its own", function()
    local f
    if setfenv then -- luacheck: ignore 113
      f = setfenv(evaluate("return function() return x end"), {}) -- luacheck: ignore 113
    else
      f = evaluate("local _ENV = {} return function() return x end")
    end
    assert.matches("environment of its own", fails("TYPE", db:set("key", f)))
  end)

  it("written in C is refused", function()
    assert.matches("^value%[1%] is a function written in C", fails("TYPE", db:set("key", { print })))
  end)

  it("is neither taken nor loaded by a store that was not asked to", function()
    db.key = { evaluate("return function() return 1 end") }
    local other = assert(viperdb.open(path))
    assert.matches("functions = true", fails("UNSUPPORTED", other:get("key")))
    assert.matches("functions = true", fails("TYPE", other:set("other", { function() end })))
    other:close()
  end)

  it("is refused when its bytecode begins otherwise than that of this Lua", function()
    local bytes = core.dump_encode(evaluate("return function() return 1 end"), true)
    assert.equal(1, core.dump_decode(bytes, true)())
    local signature = bytes:find("\27L", 1, true)
    local header = bytes:sub(signature, signature + 2) == "\27LJ" and 5 or 12
    for i = signature, signature + header - 1 do
      local other = bytes:sub(1, i - 1) .. string.char((bytes:byte(i) + 1) % 256) .. bytes:sub(i + 1)
      assert.matches("has a function of", fails("UNSUPPORTED", core.dump_decode(other, true)))
    end
  end)

  it("of another Lua is told by its name", function()
    local versions = { ["\27Lua\81"] = "Lua 5.1", ["\27Lua\82"] = "Lua 5.2", ["\27Lua\83"] = "Lua 5.3",
      ["\27Lua\84"] = "Lua 5.4", ["\27LJ\2"] = "LuaJIT", ["\27LJ"] = "another Lua", ["return 1"] = "another Lua",
      [""] = "another Lua" }
    for start, name in pairs(versions) do
      local message = fails("UNSUPPORTED", core.dump_decode("\1\9" .. string.char(0xB0 + #start) .. start, true))
      assert.matches("has a function of " .. name, message, 1, true)
    end
  end)

  it("is refused when its bytecode ends too early", function()
    local bytes = core.dump_encode(evaluate("return function() return 'a longer text' end"), true)
    local code = bytes:sub(bytes:find("\27L", 1, true), -10)
    fails("CORRUPT", core.dump_decode("\1\9\240" .. string.char(#code) .. code, true))
  end)
end)
