local core = require("viperdb.core")
local difference = require("spec.same").difference
local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

-- PUC 5.1 takes the literal -0.0 for 0.
local minus_zero = tonumber("-0.0")
local nan = 0 / 0

local function bytes_of(hex)
  return (hex:gsub("%s", ""):gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function hex_of(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x "):format(byte:byte()) end):gsub(" $", ""))
end

-- The call fails with this code and a message, which is returned.
local function fails(code, ...)
  local result, message, got = ...
  assert.is_nil(result)
  assert.equal(code, got)
  return message
end

local function nested(depth, innermost)
  local value = innermost
  for _ = 1, depth do value = { value } end
  return value
end

describe("The dump of a value has the same bytes in every Lua:", function()
  local shared, cycle = { "x" }, {}
  cycle.me = cycle

  local dumps = {
    { "null", viperdb.null, "01 01" },
    { "booleans", { false, true, [{} and true] = false }, "01 06 02 03 00 03 02 00" },
    { "NaN", nan, "01 04" },
    { "NaN with another sign", -nan, "01 04" },
    { "infinities", { math.huge, -math.huge },
      "01 06 05 00 00 00 00 00 00 f0 7f 05 00 00 00 00 00 00 f0 ff 00 00" },
    { "-0.0", minus_zero, "01 05 00 00 00 00 00 00 00 80" },
    { "0.5", 0.5, "01 05 00 00 00 00 00 00 e0 3f" },
    { "a float beyond all integers", 2 ^ 63, "01 05 00 00 00 00 00 00 e0 43" },
    { "small integers", { 0, 1, 127 }, "01 06 20 21 9f 00 00" },
    { "integers of a byte", { 128, 255, -1, -256 }, "01 06 a0 80 a0 ff a8 00 a8 ff 00 00" },
    { "integers of two bytes", { 256, 65535, -257, -65536 },
      "01 06 a1 00 01 a1 ff ff a9 00 01 a9 ff ff 00 00" },
    { "integers of seven bytes", { 9007199254740992, -9007199254740992 },
      "01 06 a6 00 00 00 00 00 00 20 ae ff ff ff ff ff ff 1f 00 00" },
    { "strings", { "", "a", "\255\0" }, "01 06 b0 b1 61 b2 ff 00 00 00" },
    { "the longest short string", ("s"):rep(63), "01 ef" .. ("73"):rep(63) },
    { "the shortest long string", ("s"):rep(64), "01 f0 40" .. ("73"):rep(64) },
    { "a string of 256 bytes", ("s"):rep(256), "01 f1 00 01" .. ("73"):rep(256) },
    { "an empty table", {}, "01 06 00 00" },
    { "keys of every type in their order",
      { "one", "two", b = 1, a = 2, aa = 3, [0.5] = 4, [-0.5] = 5, [4] = 6, [0] = 7, [-1] = 8, [true] = 9,
        [false] = 10, [""] = 11, [math.huge] = 12 },
      [[01 06 b3 6f 6e 65 b3 74 77 6f 00
        02 2a 03 29 a8 00 28 20 27 24 26
        05 00 00 00 00 00 00 e0 bf 25 05 00 00 00 00 00 00 e0 3f 24 05 00 00 00 00 00 00 f0 7f 2c
        b0 2b b1 61 22 b2 61 61 23 b1 62 21 00]] },
    { "-0.0 as a key", { [minus_zero] = 1 }, "01 06 00 20 21 00" },
    { "floats that equal integers as keys", { [2 ^ 53] = 1, [2 ^ 62] = 2, [-2 ^ 63] = 3, [2 ^ 63] = 4 },
      [[01 06 00 af ff ff ff ff ff ff ff 7f 23 a6 00 00 00 00 00 00 20 21 a7 00 00 00 00 00 00 00 40 22
        05 00 00 00 00 00 00 e0 43 24 00]] },
    { "items before a hole, and behind it", { 1, 2, [4] = 4 }, "01 06 21 22 00 24 24 00" },
    { "a table that is there twice", { shared, shared }, "01 06 06 b1 78 00 00 0a 21 00 00" },
    { "a table inside itself", cycle, "01 06 00 b2 6d 65 0a 20 00" },
  }
  for _, dump in ipairs(dumps) do
    local name, value, hex = dump[1], dump[2], hex_of(bytes_of(dump[3]))

    it(name, function()
      assert.equal(hex, hex_of(assert(core.dump_encode(value))))
    end)

    it(name .. ", read", function()
      local read, message = core.dump_decode(bytes_of(hex))
      assert.is_nil(message)
      assert.is_nil(difference(value, read))
    end)
  end

  it("whatever the order in which keys came", function()
    local forth, back, deleted = {}, {}, {}
    for i = 1, 300 do
      forth[i * 0.5], forth["key" .. i] = i, i
      back[(301 - i) * 0.5], back["key" .. 301 - i] = 301 - i, 301 - i
      deleted["key" .. i], deleted[i + 0.25] = i, i
    end
    for i = 1, 300 do
      deleted[i + 0.25] = nil
      deleted[i * 0.5] = i
    end
    local bytes = core.dump_encode(forth)
    assert.equal(bytes, core.dump_encode(back))
    assert.equal(bytes, core.dump_encode(deleted))
  end)

  if math.type then
    it("a float with the value of an integer is a float", function()
      assert.equal("01 05 00 00 00 00 00 00 f0 3f", hex_of(core.dump_encode(1.0)))
      assert.equal("float", math.type(core.dump_decode(core.dump_encode(1.0))))
    end)

    it("the last integers", function()
      local ends = { math.maxinteger, math.mininteger }
      local hex = "01 06 a7 ff ff ff ff ff ff ff 7f af ff ff ff ff ff ff ff 7f 00 00"
      assert.equal(hex, hex_of(core.dump_encode(ends)))
      assert.is_nil(difference(ends, core.dump_decode(bytes_of(hex))))
    end)
  end
end)

describe("A store gives back, when it is opened again,", function()
  -- The value after a way through the files.
  local function stored(value, options)
    local db, path = helper.store(options)
    db.key = value
    db:close()
    db = assert(viperdb.open(path, options))
    local result = db.key
    db:close()
    return result
  end

  local function comes_back(value)
    local result = stored(value)
    assert.is_nil(difference(value, result))
    return result
  end

  it("NaN and the infinities, alone and inside", function()
    comes_back(nan)
    comes_back(math.huge)
    comes_back(-math.huge)
    comes_back({ nan, { deep = -math.huge }, [math.huge] = nan })
  end)

  it("mixed, sparse, float and boolean keys", function()
    comes_back({ 1, 2, nil, 4, name = "mixed", [1000] = "sparse", [-1] = "negative", [0] = "zero" })
    comes_back({ [0.5] = "half", [-1e300] = "low", [true] = "yes", [false] = "no" })
  end)

  it("byte strings as keys and values", function()
    local every = {}
    for i = 0, 255 do every[i + 1] = string.char(i) end
    every = table.concat(every)
    comes_back({ [every] = every, ["\0"] = "\255", [""] = ("\254"):rep(70000) })
  end)

  it("null inside", function()
    local result = comes_back({ 1, viperdb.null, { nothing = viperdb.null, [0.5] = 0 } })
    assert.equal(viperdb.null, result[2])
  end)

  it("one table that is there twice as one", function()
    local shared = { 1, 2 }
    local result = comes_back({ shared, again = { shared }, [0] = shared })
    assert.equal(result[1], result.again[1])
    assert.equal(result[1], result[0])
  end)

  it("two equal tables as two", function()
    local result = comes_back({ { 1 }, { 1 }, nan })
    assert.not_equal(result[1], result[2])
  end)

  it("cycles", function()
    local node, list, me = { name = "a" }, {}, {}
    node.next = { name = "b", next = { name = "c", next = node } }
    list.first, list.last = node, node.next.next
    me[1], me.me = me, { me }
    assert.equal("a", comes_back(list).last.next.name)
    assert.equal("c", comes_back(node).next.next.name)
    comes_back(me)
  end)

  it("128 tables inside one another", function()
    comes_back(nested(128, nan))
  end)

  it("a hundred thousand items with one NaN", function()
    local items = {}
    for i = 1, 100000 do items[i] = i * 0.5 end
    items[777] = nan
    comes_back(items)
  end)

  it("a hundred thousand keys, and as many tables", function()
    local fields = { nan }
    for i = 2, 100000 do fields["key " .. i] = { i } end
    comes_back(fields)
  end)

  it("an empty array of lua-cjson as an empty table", function()
    package.loaded.cjson, package.loaded.viperdb_spec_cjson = {
      empty_array = io.stdout, array_mt = {}, empty_array_mt = {},
    }, package.loaded.cjson
    local cjson = package.loaded.cjson
    local result = stored({ nan, io.stdout, io.stdout, setmetatable({ 1, nan }, cjson.array_mt),
      setmetatable({}, cjson.empty_array_mt) })
    package.loaded.cjson, package.loaded.viperdb_spec_cjson = package.loaded.viperdb_spec_cjson, nil
    assert.is_nil(difference({ nan, {}, {}, { 1, nan }, {} }, result))
  end)
end)

describe("What can't be stored is told with its place:", function()
  local db

  before_each(function()
    db = helper.store()
    db.key = "as it was"
  end)

  after_each(function()
    assert.equal("as it was", db.key)
    db:close()
  end)

  local function refused(value)
    return fails("TYPE", db:set("key", value))
  end

  it("a coroutine", function()
    local thread = coroutine.create(function() end)
    assert.equal("value is a thread, which can't be stored", refused(thread))
    assert.matches("^value%.list%[3%]%.owner is a thread", refused({ list = { 1, 2, { owner = thread } } }))
  end)

  it("a userdata", function()
    assert.matches("^value%[1%] is a userdata", refused({ io.stdout }))
  end)

  it("a function", function()
    assert.matches("^value%[true%]%[0%.5%] is a function: .*functions = true",
      refused({ [true] = { [0.5] = function() end } }))
  end)

  it("a metatable that is not registered", function()
    assert.matches("^value%.point has a metatable that is not registered: viperdb%.register",
      refused({ point = setmetatable({}, {}) }))
  end)

  it("a table as a key", function()
    assert.matches("^value%.set has a table as a key", refused({ set = { [{}] = true } }))
    assert.matches("^value has a userdata as a key", refused({ [viperdb.null] = true }))
  end)

  it("under a key that is no name", function()
    assert.matches('^value%["two words"%] is', refused({ ["two words"] = print }))
    assert.matches('^value%["1st"%] is', refused({ ["1st"] = print }))
    assert.matches('^value%[""%] is', refused({ [""] = print }))
    assert.matches('^value%["\\"\\\\\\000\\255\\010"%] is', refused({ ['"\\\0\255\n'] = print }))
    assert.matches("^value%[%-7%] is", refused({ [-7] = print }))
    assert.matches("^value%[math%.huge%] is", refused({ [math.huge] = print }))
  end)

  it("deep inside, in one short line", function()
    local message = refused(nested(127, { [("long"):rep(100)] = print }))
    assert.matches("^value%[1%]%[1%].*%.%.%. is a function", message)
    assert.is_true(#message < 400)
  end)

  it("tables nested deeper than 128", function()
    fails("TOO_BIG", db:set("key", nested(129, nan)))
  end)

  it("a value on the way to what can't be stored", function()
    refused({ nan, { 1, 2, 3 }, ("long"):rep(10000), print })
  end)
end)

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

describe("Bytes that no store writes are the error", function()
  local function refused(code, expected, hex)
    local message = fails(code, core.dump_decode(bytes_of(hex)))
    assert.matches(expected, message, 1, true)
  end

  local function corrupt(expected, hex)
    refused("CORRUPT", "binary dump at byte " .. expected, hex)
  end

  it("UNSUPPORTED of another version", function()
    refused("UNSUPPORTED", "another version", "00 04")
    refused("UNSUPPORTED", "another version", "02 04")
    refused("UNSUPPORTED", "another version", "ff")
  end)

  it("CORRUPT of a tag that means nothing", function()
    for _, tag in ipairs({ "00", "0b", "1f", "f4", "ff" }) do corrupt("1: not a value", "01" .. tag) end
    corrupt("3: not a value", "01 06 21 0c 00 00")
  end)

  it("CORRUPT of an end that is missing, or of more", function()
    corrupt("0: it ends too early", "")
    corrupt("1: it ends too early", "01")
    corrupt("2: it ends too early", "01 06")
    corrupt("3: it ends too early", "01 06 00")
    corrupt("2: more bytes after the value", "01 04 00")
    corrupt("4: more bytes after the value", "01 06 00 00 21")
  end)

  it("CORRUPT of a size beyond the end", function()
    corrupt("3: it ends too early", "01 b2 61")
    corrupt("4: it ends too early", "01 f0 40 61")
    corrupt("6: it ends too early", "01 f3 ff ff ff ff")
    corrupt("9: it ends too early", "01 05 00 00 00 00 00 00 f0")
    corrupt("5: it ends too early", "01 06 00 f3 ff")
  end)

  it("CORRUPT of a number in more bytes than it needs", function()
    corrupt("2: a number in more", "01 a0 7f")
    corrupt("2: a number in more", "01 a1 ff 00")
    corrupt("2: a number in more", "01 a7 ff ff ff ff ff ff ff 00")
    corrupt("2: a number in more", "01 a9 ff 00")
    corrupt("2: a number in more", "01 f0 3f" .. ("61"):rep(63))
    corrupt("2: a number in more", "01 f1 ff 00" .. ("61"):rep(255))
  end)

  it("CORRUPT of an integer of more than 64 bits", function()
    corrupt("9: an integer of more", "01 a7 ff ff ff ff ff ff ff ff")
    corrupt("9: an integer of more", "01 af ff ff ff ff ff ff ff 80")
  end)

  it("CORRUPT of a NaN that is no NaN", function()
    corrupt("2: NaN", "01 05 00 00 00 00 00 00 f8 7f")
    corrupt("2: NaN", "01 05 01 00 00 00 00 00 f0 ff")
  end)

  it("CORRUPT of a key that can't be one", function()
    for _, tag in ipairs({ "01", "04", "06", "07", "09", "0a", "0b", "f4" }) do
      corrupt("3: not a key", "01 06 00 " .. tag .. " 21 00")
    end
    corrupt("4: NaN", "01 06 00 05 00 00 00 00 00 00 f8 7f 21 00")
    corrupt("3: a float as a key", "01 06 00 05 00 00 00 00 00 00 f0 3f 21 00")
    corrupt("3: a float as a key", "01 06 00 05 00 00 00 00 00 00 00 80 21 00")
    corrupt("3: a float as a key", "01 06 00 05 00 00 00 00 00 00 e0 c3 21 00")
  end)

  it("CORRUPT of a key that is there twice, or out of order", function()
    corrupt("6: a key out of order", "01 06 00 b1 61 21 b1 61 21 00")
    corrupt("6: a key out of order", "01 06 00 b1 62 21 b1 61 21 00")
    corrupt("7: a key out of order", "01 06 00 b2 61 61 21 b1 61 21 00")
    corrupt("5: a key out of order", "01 06 00 23 21 23 21 00")
    corrupt("5: a key out of order", "01 06 00 23 21 20 21 00")
    corrupt("5: a key out of order", "01 06 00 03 21 02 21 00")
    corrupt("6: a key out of order", "01 06 00 b1 61 21 23 21 00")
    corrupt("13: a key out of order", "01 06 00 05 00 00 00 00 00 00 e0 3f 21 05 00 00 00 00 00 00 e0 bf 21 00")
  end)

  it("CORRUPT of an item among the keys", function()
    corrupt("3: a key that is an item's", "01 06 00 21 21 00")
    corrupt("5: a key that is an item's", "01 06 2a 2a 00 21 21 00")
    corrupt("5: a key that is an item's", "01 06 2a 2a 00 23 21 00")
  end)

  it("CORRUPT of a reference to nothing that came before", function()
    corrupt("2: the number of something before", "01 0a 20")
    corrupt("3: the number of something before", "01 06 0a 21 00 00")
    corrupt("3: the number of something before", "01 06 0a a8 00 00 00")
    corrupt("3: the number of something before", "01 06 0a b0 00 00")
    corrupt("3: the number of something before", "01 06 0a a7 ff ff ff ff ff ff ff 7f 00 00")
  end)

  it("CORRUPT of tables nested deeper than 128", function()
    assert.is_table(core.dump_decode("\1" .. ("\6"):rep(128) .. ("\0"):rep(256)))
    corrupt("129: nested deeper", "01" .. ("06"):rep(129) .. ("00"):rep(258))
    corrupt("129: nested deeper", "01" .. ("06"):rep(1000000))
  end)

  it("CORRUPT of bytecode that is no string", function()
    corrupt("2: the bytecode", "01 09 21")
    refused("UNSUPPORTED", "functions = true", "01 09 b1 1b")
  end)

  it("CORRUPT wherever a dump is cut off", function()
    local value = { 1, 300, -70000, nan, 0.5, "text", ("long"):rep(20), { true }, [0.25] = {}, name = false }
    value.me = value
    local bytes = core.dump_encode(value)
    for size = 0, #bytes - 1 do
      assert.matches("it ends too early", fails("CORRUPT", core.dump_decode(bytes:sub(1, size))))
    end
  end)

  it("or bytes of another value, whichever byte is changed", function()
    local value = { 1, 300, -70000, nan, "text", { true }, [0.25] = {}, name = false, [-3] = ("b"):rep(70) }
    value.me = value
    local bytes = core.dump_encode(value)
    local accepted = 0
    for i = 2, #bytes do
      for _, change in ipairs({ 1, 0x7F, 0x80, 0xFE }) do
        local changed = bytes:sub(1, i - 1) .. string.char((bytes:byte(i) + change) % 256) .. bytes:sub(i + 1)
        local read, message, code = core.dump_decode(changed)
        if message == nil then accepted = accepted + 1 end
        if message ~= nil then
          assert.is_true(code == "CORRUPT" or code == "UNSUPPORTED" or code == "RANGE")
        elseif math.type then
          assert.equal(hex_of(changed), hex_of(core.dump_encode(read)))
        end
      end
    end
    assert.is_true(accepted > 0)
  end)
end)
