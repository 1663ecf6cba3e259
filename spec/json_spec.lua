-- The JSON codec by itself: what it writes, what it refuses, and what comes back. Through hooks of the core.

local cjson = require("cjson")
local core = require("viperdb.core")
local difference = require("spec.same").difference
local helper = require("spec.helper")

local null = core.null
local has_integers = 9007199254740993 ~= 9007199254740992
local minus_zero = tonumber("-0.0") -- Lua 5.1 takes the literal for 0

local function encode(value)
  local text, message, code = core.json_encode(value)
  return (assert(text, code and code .. ": " .. message))
end

local function decode(text)
  local value, message, code = core.json_decode(text)
  if code then error(("%s: %s in %s"):format(code, message, text:sub(1, 80))) end
  return value
end

local function returns(value)
  assert.is_nil(difference(value, decode(encode(value))))
end

-- The value is refused with this code; returns the message.
local function refuses(code, value)
  local text, message, got = core.json_encode(value)
  assert.is_nil(text)
  assert.equal(code, got)
  return message
end

-- Tables inside tables.
local function nested(depth)
  local value = {}
  for _ = 2, depth do value = { value } end
  return value
end

describe("Writing JSON and reading it gives back", function()
  it("numbers, bit for bit and in their type", function()
    for _, number in ipairs({
      0, 1, -1, 7, 10, 99, 100, 2147483647, -2147483648, 4294967296, 9007199254740991, 9007199254740992,
      -9007199254740992, 0.0, minus_zero, 1.0, -1.0, 0.1, 1 / 3, 0.1 + 0.2, 1e15, 1e16, 1e22, 1e23, 1e-7,
      5e-324, 2 ^ 53, 2 ^ 60, 2 ^ 63, -2 ^ 63, 2.2250738585072014e-308, 1.7976931348623157e308,
      -1.7976931348623157e308, 123456.789,
    }) do
      returns(number)
      returns({ number })
    end
    if has_integers then
      returns(math.maxinteger)
      returns(math.mininteger)
      returns(9007199254740993)
    end
  end)

  it("strings of every length, with a special character at every place", function()
    for length = 0, 40 do
      local text = ("x"):rep(length)
      returns(text)
      for place = 1, length do
        for _, special in ipairs({ '"', "\\", "\n", "\0", "\31", "\127", "\195\169" }) do
          local value = text:sub(1, place - 1) .. special .. text:sub(place + 1)
          if value ~= decode(encode(value)) then error("not the same: " .. value) end
          assert.is_true(decode(encode({ [value] = place }))[value] == place)
        end
      end
    end
  end)

  it("long strings, plain, escaped and beyond ASCII", function()
    for _, piece in ipairs({ "abc", 'a"', "\n\n", "caf\195\169 ", "\240\159\144\141", "\1", "/\127" }) do
      for _, count in ipairs({ 100, 340, 512, 1024, 5000 }) do returns(piece:rep(count)) end
    end
  end)

  it("sequences of every length, however they were filled", function()
    for length = 0, 70 do
      local upwards, downwards, inside_out = {}, {}, {}
      for i = 1, length do
        upwards[i] = i * 0.5
        downwards[length + 1 - i] = { i }
      end
      for i = 1, length do inside_out[(i * 29) % 71] = i end
      returns(upwards)
      returns(downwards)
      if length == 70 then returns(inside_out) end
    end
  end)

  it("sequences that once had other keys", function()
    local value = { 1, 2, 3, x = 1, y = 2 }
    value.x, value.y, value[3] = nil, nil, nil
    assert.equal("[1,2]", encode(value))
    value[1], value[2], value.z = nil, nil, 0
    assert.equal('{"z":0}', encode(value))
  end)

  it("objects of every size", function()
    local value = {}
    for i = 1, 70 do
      value["name " .. i] = i
      returns(value)
    end
    returns({ ["1"] = 1, ["2"] = 2 })
    returns({ [""] = "", ["\0"] = "\0", ["\195\169"] = {} })
  end)

  it("any number of different tables", function()
    for _, count in ipairs({ 14, 15, 16, 17, 30, 31, 32, 33, 63, 64, 65, 500, 3000 }) do
      local value = {}
      for i = 1, count do value[i] = { i } end
      returns(value)
    end
  end)

  it("null, true and false in tables", function()
    returns({ null, true, false, null })
    returns({ a = null, b = false })
  end)

  it("tables nested 128 deep", function()
    assert.equal(("["):rep(127) .. "{}" .. ("]"):rep(127), encode(nested(128)))
    returns(nested(128))
  end)

  it("whatever is in a random table", function()
    local seed = 20250101
    local function random(limit)
      seed = (seed * 16807) % 2147483647
      return seed % limit
    end
    local pieces = { "a", "key", '"', "\\", "\n", "\195\169", "\0", " ", "\240\159\144\141", "0123456789" }
    local function random_string()
      local parts = {}
      for i = 1, random(8) do parts[i] = pieces[random(#pieces) + 1] end
      return table.concat(parts)
    end
    local function random_value(depth)
      local kind, value = random(depth > 0 and 8 or 6), {}
      if kind == 0 then return random(2) == 0 end
      if kind == 1 then return null end
      if kind == 2 then return random(2147483647) - 1000000000 end
      if kind == 3 then return random(2147483647) / (random(1000) + 1) end
      if kind <= 5 then return random_string() end
      for i = 1, random(12) do value[kind == 6 and i or random_string()] = random_value(depth - 1) end
      return value
    end
    for _ = 1, 2000 do returns(random_value(5)) end
  end)
end)

describe("JSON text", function()
  it("has no spaces, and only the escapes that it needs", function()
    assert.equal('[1,{"a":[true,null]},"b"]', encode({ 1, { a = { true, null } }, "b" }))
    assert.equal('"\\"\\\\/\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\127\195\169"',
      encode('"\\/\b\f\n\r\t\v\0\31\127\195\169'))
  end)

  it("tells floats from integers", function()
    assert.equal(has_integers and "1.0" or "1", encode(1.0))
    assert.equal("1", encode(1))
    assert.equal("-0.0", encode(minus_zero))
    assert.equal(has_integers and "9007199254740992.0" or "9007199254740992", encode(2 ^ 53))
    assert.equal("1.8014398509481984e+16", encode(2 ^ 54))
    assert.equal("[0.30000000000000004,1e+16,1e-07]", encode({ 0.1 + 0.2, 1e16, 1e-7 }))
  end)

  it("has {} for an empty table", function()
    assert.equal("{}", encode({}))
    assert.equal('{"a":{}}', encode({ a = {} }))
  end)

  it("is read by lua-cjson as what it was", function()
    local value = { name = 'France "FR"\n', flags = { true, false }, big = { 1, { deep = {} } }, none = null }
    local theirs = cjson.decode(encode(value))
    assert.equal(value.name, theirs.name)
    assert.is_nil(difference(value.flags, theirs.flags))
    assert.equal(cjson.null, theirs.none)
    local ours = decode(cjson.encode(value))
    assert.equal(value.name, ours.name)
    assert.equal(null, ours.none)
  end)
end)

describe("JSON does not hold", function()
  local sizes = { 1, 2, 3, 4, 5, 7, 8, 9, 16, 17 }

  it("tables that are neither a sequence nor keyed by strings alone", function()
    for _, value in ipairs({
      { 1, 2, x = 3 }, { [2] = 2 }, { [1] = 1, [3] = 3 }, { [0] = 0 }, { [0] = 0, 1 }, { [-1] = 1 },
      { [1.5] = 1 }, { [true] = 1 }, { x = 1, [true] = 1 }, { 1, [1.5] = 2 }, { [2 ^ 53] = 1 },
      { 1, [2 ^ 40] = 2 }, { [1e300] = 1 }, { [math.huge] = 1 }, { x = { 1, y = 2 } }, { [null] = 1 },
      { 1, 2, [4] = 4, [5] = 5, [3] = nil },
    }) do
      refuses("TYPE", value)
    end
  end)

  it("a sequence with one more key, wherever that lies in the table", function()
    for _, length in ipairs(sizes) do
      for _, key in ipairs({ 0, -1, 1.5, length + 0.5, length + 2, 2 ^ 31, 2 ^ 53, "x", true }) do
        local first, last = { [key] = 0 }, {}
        for i = length, 1, -1 do
          first[i], last[i] = i, i
        end
        last[key] = 0
        refuses("TYPE", first)
        refuses("TYPE", last)
      end
    end
  end)

  it("an object with one more key, wherever that lies in the table", function()
    for _, length in ipairs(sizes) do
      for _, key in ipairs({ 1, 0, 1.5, 2 ^ 53, true, null }) do
        local value = { [key] = 0 }
        for i = 1, length do value["name " .. i] = i end
        refuses("TYPE", value)
      end
    end
  end)

  it("a table that is reached twice, wherever", function()
    local value = {}
    value.own = value
    refuses("TYPE", value)
    for _, count in ipairs({ 1, 2, 14, 15, 16, 17, 31, 32, 33, 64, 200 }) do
      for _, place in ipairs({ 1, math.floor(count / 2) + 1, count }) do
        local list = {}
        for i = 1, count do list[i] = {} end
        list[count + 1] = { list[place] }
        refuses("TYPE", list)
        list[count + 1] = list
        refuses("TYPE", list)
      end
    end
  end)

  it("NaN and infinities", function()
    refuses("TYPE", 0 / 0)
    refuses("TYPE", { math.huge })
    refuses("TYPE", { x = -math.huge })
  end)

  it("strings and names that are not UTF-8", function()
    for _, bytes in ipairs({
      "\255", "\128", "caf\233", "\237\160\128", "\192\128", ("x"):rep(50) .. "\200", "\n\255",
      "12345678\255",
    }) do
      refuses("TYPE", bytes)
      refuses("TYPE", { bytes })
      refuses("TYPE", { [bytes] = 1 })
    end
  end)

  it("functions, coroutines, userdata and unknown metatables", function()
    refuses("TYPE", print)
    refuses("TYPE", { f = function() end })
    refuses("TYPE", { coroutine.create(function() end) })
    refuses("TYPE", { io.stdout })
    refuses("TYPE", setmetatable({}, {}))
    refuses("TYPE", { setmetatable({ 1 }, { __index = {} }) })
    refuses("TYPE", nil)
  end)

  it("tables nested deeper than 128", function()
    refuses("TOO_BIG", nested(129))
  end)

  it("and then the text begun is dropped and the next one is whole", function()
    refuses("TYPE", { 1, 2, 3, { "text", print } })
    assert.equal("[1]", encode({ 1 }))
  end)
end)

describe("The markers of other JSON libraries", function()
  local globals = package.loaded._G
  local saved_cjson, saved_vim

  before_each(function()
    saved_cjson, saved_vim = package.loaded.cjson, rawget(globals, "vim")
  end)

  after_each(function()
    package.loaded.cjson = saved_cjson
    rawset(globals, "vim", saved_vim)
  end)

  -- A lightuserdata that is not null: some key of the registry.
  local function some_address()
    debug.sethook(function() end, "", 1000000)
    debug.sethook()
    for key in pairs(debug.getregistry()) do
      if type(key) == "userdata" and not debug.getmetatable(key) and key ~= null then return key end
    end
    return debug.upvalueid(some_address, 1)
  end

  it("cjson.array_mt makes an array of a sequence, empty too, and of nothing else", function()
    local array_mt = {}
    package.loaded.cjson = { array_mt = array_mt }
    assert.equal("[]", encode(setmetatable({}, array_mt)))
    assert.equal("[[1,2]]", encode({ setmetatable({ 1, 2 }, array_mt) }))
    assert.is_nil(getmetatable(decode("[]")))
    refuses("TYPE", setmetatable({ a = 1 }, array_mt))
    refuses("TYPE", setmetatable({ 1, nil, 3 }, array_mt))
    refuses("TYPE", setmetatable({}, {}))
  end)

  it("cjson.empty_array_mt makes an array of an empty table", function()
    local empty_array_mt = {}
    package.loaded.cjson = { empty_array_mt = empty_array_mt }
    assert.equal("[]", encode(setmetatable({}, empty_array_mt)))
    assert.equal("[1]", encode(setmetatable({ 1 }, empty_array_mt)))
    assert.equal('{"a":1}', encode(setmetatable({ a = 1 }, empty_array_mt)))
  end)

  it("cjson.empty_array is an empty array", function()
    local address = some_address()
    refuses("TYPE", { address })
    package.loaded.cjson = { empty_array = address }
    assert.equal('{"a":[]}', encode({ a = address }))
    assert.equal("[]", encode(address))
  end)

  it("vim.empty_dict() and vim.NIL are an empty object and null, also when they come later", function()
    local empty_dict_mt = {}
    rawset(globals, "vim", { _empty_dict_mt = empty_dict_mt, NIL = io.stderr })
    assert.equal('[{},null,{"a":1}]',
      encode({ setmetatable({}, empty_dict_mt), io.stderr, setmetatable({ a = 1 }, empty_dict_mt) }))
    refuses("TYPE", io.stdout)
  end)

  it("are looked up without calling anything", function()
    local function trap() error("called") end
    package.loaded.cjson = setmetatable({}, { __index = trap })
    rawset(globals, "vim", "not a table")
    refuses("TYPE", setmetatable({}, { __index = trap, __pairs = trap, __len = trap, __name = "trap" }))
  end)
end)

-- Whether it is there is asked when the module is loaded, so each of these is a process of its own.
describe("Where vim._empty_dict_mt is there when the module is loaded", function()
  teardown(helper.clean)

  -- What the program prints that begins with this `vim`, with a space between values.
  local function prints(vim, program)
    local wait = helper.start_bare(([[
      vim = %s
      local core = require("viperdb.core")
      local function encode(value) return (assert(core.json_encode(value))) end
      local function decode(text) return (assert(core.json_decode(text))) end
      local dict_mt = vim._empty_dict_mt
      local function dict() return setmetatable({}, dict_mt) end
      local function is_dict(value) return getmetatable(value) == dict_mt and next(value) == nil end
      %s]]):format(vim, program))
    return (wait():gsub("\t", " "))
  end

  local neovim = "{ _empty_dict_mt = {}, NIL = io.stderr }"

  it("an empty table is [], and one with that metatable {}, wherever they are", function()
    assert.equal('[] {} [[],{},{"a":[]},{"a":{}}]', prints(neovim, [[
      print(encode({}), encode(dict()), encode({ {}, dict(), { a = {} }, { a = dict() } }))
    ]]))
  end)

  it("{} is read with that metatable, and nothing else is", function()
    assert.equal("true nil nil nil true nil", prints(neovim, [[
      local all = decode('[{ }, [], {"a":1}, [1], {"a":{"b":{}}}]')
      print(is_dict(all[1]), getmetatable(all[2]), getmetatable(all[3]), getmetatable(all[4]),
        is_dict(all[5].a.b), getmetatable(all[5].a))
    ]]))
  end)

  it("both come back as they were, after many items too", function()
    assert.equal("same", prints(neovim, [[
      local list, object = {}, {}
      for i = 1, 100 do
        list[i] = i % 2 == 0 and dict() or {}
        object["key" .. i] = i % 3 == 0 and dict() or {}
      end
      list, object = decode(encode(list)), decode(encode(object))
      for i = 1, 100 do
        assert(is_dict(list[i]) == (i % 2 == 0) and next(list[i]) == nil)
        assert(is_dict(object["key" .. i]) == (i % 3 == 0))
      end
      print("same")
    ]]))
  end)

  it("what was read as an empty object is what is put into it", function()
    assert.equal('{"x":[]} [1]', prints(neovim, [[
      local object, list = decode("{}"), decode("{}")
      object.x, list[1] = {}, 1
      print(encode(object), encode(list))
    ]]))
  end)

  it("the markers of lua-cjson are what they are everywhere", function()
    assert.equal('[[],[],[]] [[1],{"a":1}] nil', prints(neovim, [[
      local array, empty_array, address = {}, {}, io.stdout
      package.loaded.cjson = { array_mt = array, empty_array_mt = empty_array, empty_array = address }
      print(encode({ setmetatable({}, array), setmetatable({}, empty_array), address }),
        encode({ setmetatable({ 1 }, array), setmetatable({ a = 1 }, empty_array) }),
        (core.json_encode(setmetatable({ a = 1 }, array))))
    ]]))
  end)

  it("both are written as before when `vim` is exchanged", function()
    assert.equal("[{},[],null] true", prints(neovim, [[
      local value = decode("[{},[],null]")
      vim = { _empty_dict_mt = {}, NIL = io.stdout }
      local text = encode(value)
      vim = nil
      print(text, encode(value) == text)
    ]]))
  end)

  it("nothing of it is called", function()
    local trapped = [[(function()
      local function trap() error("called") end
      local traps = { __index = trap, __newindex = trap, __len = trap, __call = trap, __pairs = trap, __eq = trap }
      return setmetatable({ _empty_dict_mt = setmetatable(traps, traps), NIL = io.stderr }, traps)
    end)()]]
    assert.equal('[{},[],{"a":1},{"a":{}}]', prints(trapped, [[print(encode(decode('[{},[],{"a":1},{"a":{}}]')))]]))
  end)

  it("or where it is no table, an empty table is {} and has no metatable", function()
    local inherited = "setmetatable({}, { __index = { _empty_dict_mt = {} } })"
    for _, vim in ipairs({ "{ _empty_dict_mt = 7 }", "{}", inherited }) do
      assert.equal("{} nil nil", prints(vim, [[
        print(encode({}), getmetatable(decode("{}")), getmetatable(decode("[]")))
      ]]))
    end
  end)
end)
