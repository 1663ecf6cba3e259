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
    local shared = {}
    local result = stored({ nan, io.stdout, io.stdout, shared, shared, setmetatable({ 1, nan }, cjson.array_mt),
      setmetatable({}, cjson.empty_array_mt) })
    package.loaded.cjson, package.loaded.viperdb_spec_cjson = package.loaded.viperdb_spec_cjson, nil
    assert.is_nil(difference({ nan, {}, {}, shared, shared, { 1, nan }, {} }, result))
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
    fails("TOO_BIG", core.dump_encode(nested(129, nan)))
    fails("TOO_BIG", db:set("key", { [0.5] = nested(128) }))
  end)

  it("a value on the way to what can't be stored", function()
    refused({ nan, { 1, 2, 3 }, ("long"):rep(10000), print })
  end)
end)

describe("The example of docs/DUMP.md", function()
  local page = helper.read_file("docs/DUMP.md")
  local Point = {}
  viperdb.register("Point", Point)

  local function block(kind)
    return page:match("```" .. kind .. "\n(.-)```")
  end

  it("is the dump of its value", function()
    local make = (loadstring or load)("local Point, setmetatable = ... " .. block("lua")) -- luacheck: ignore 113
    local bytes = bytes_of(block("dump"):gsub("%x%x  ", ""))
    local value = make(Point, setmetatable)
    assert.equal(hex_of(bytes), hex_of(core.dump_encode(value)))
    assert.is_nil(difference(value, core.dump_decode(bytes)))
  end)

  it("is explained byte by byte", function()
    local explained = {}
    for bytes in page:gmatch("\n| `([%x ]+)` |") do explained[#explained + 1] = bytes end
    assert.equal(hex_of(bytes_of(block("dump"):gsub("%x%x  ", ""))), table.concat(explained, " "))
  end)
end)
