-- Which texts are JSON: each family of valid and of invalid texts, read through a hook of the core.

local core = require("viperdb.core")
local difference = require("spec.same").difference

local null = core.null
local has_integers = 9007199254740993 ~= 9007199254740992
local minus_zero = tonumber("-0.0") -- Lua 5.1 takes the literal for 0

local function decode(text)
  local value, message, code = core.json_decode(text)
  if code then error(("%s: %s in %s"):format(code, message, text:sub(1, 80))) end
  return value
end

-- The text is refused with this code; returns the message.
local function rejects(code, text)
  local value, message, got = core.json_decode(text)
  assert.is_nil(value, text:sub(1, 80) .. " is accepted")
  assert.equal(code, got)
  return message
end

-- Arrays inside arrays.
local function nested(depth)
  return ("["):rep(depth) .. ("]"):rep(depth)
end

describe("Reading JSON accepts", function()
  local function accepts(cases)
    for text, value in pairs(cases) do
      assert.is_nil(difference(value, decode(text)), text)
    end
  end

  it("every kind of value on its own", function()
    accepts({
      ["null"] = null, ["true"] = true, ["false"] = false, ["42"] = 42, ["-0.1"] = -0.1, ['"asd"'] = "asd",
      ['""'] = "", ["[]"] = {}, ["{}"] = {},
    })
  end)

  it("arrays", function()
    accepts({
      ["[[]   ]"] = { {} }, ['[""]'] = { "" }, ["[1,2,3]"] = { 1, 2, 3 }, ["[true]"] = { true },
      ["[null]"] = { null }, ['[null, 1, "1", {}, 0.5, false]'] = { null, 1, "1", {}, 0.5, false },
      ["[1,null,null,null,2]"] = { 1, null, null, null, 2 }, ["[[1],[2,[3]]]"] = { { 1 }, { 2, { 3 } } },
    })
  end)

  it("objects", function()
    accepts({
      ['{"asd":"sdf", "dfg":"fgh"}'] = { asd = "sdf", dfg = "fgh" },
      ['{"":0}'] = { [""] = 0 },
      ['{"foo\\u0000bar": 42}'] = { ["foo\0bar"] = 42 },
      ['{"min": -1.0e+28, "max": 1.0e+28}'] = { min = -1e28, max = 1e28 },
      ['{"a":[{"b":{}}], "1":1}'] = { a = { { b = {} } }, ["1"] = 1 },
      ['{"title":"\\u041f\\u043e"}'] = { title = "\208\159\208\190" },
    })
  end)

  it("spaces, tabs and newlines around every token", function()
    accepts({
      [" \t\r\n42\n"] = 42, [" [1] "] = { 1 }, ["[1\n]"] = { 1 }, ["\n[\n1\t,\r2 ]"] = { 1, 2 },
      [" [ ] "] = {}, ['\t{\n"a"\r:\n"b" ,\t"c" : [ ] }\n'] = { a = "b", c = {} }, ["{ \n}"] = {},
    })
  end)

  it("integers and floats, told apart", function()
    accepts({
      ["0"] = 0, ["-1"] = -1, ["1234567890"] = 1234567890, ["-123"] = -123, ["[ 4]"] = { 4 },
      ["9007199254740992"] = 9007199254740992, ["-9007199254740992"] = -9007199254740992,
      ["1.0"] = 1.0, ["-0"] = minus_zero, ["-0.0"] = minus_zero, ["0e1"] = 0.0, ["0e+1"] = 0.0, ["0.0"] = 0.0,
      ["20e1"] = 200.0, ["1E22"] = 1e22, ["1E-2"] = 0.01, ["1E+2"] = 100.0, ["123e45"] = 123e45,
      ["123.456e78"] = 123.456e78, ["123e65"] = 123e65, ["1e-2"] = 0.01, ["123.456789"] = 123.456789,
      ["5e-324"] = 5e-324, ["1e-400"] = 0.0, ["1.7976931348623157e308"] = 1.7976931348623157e308,
      ["0.30000000000000004"] = 0.1 + 0.2,
      ["-0.000000000000000000000000000000000000000000000000000000000000000000000000000001"] = -1e-78,
    })
  end)

  it("escapes in strings", function()
    accepts({
      ['"\\"\\\\\\/\\b\\f\\n\\r\\t"'] = '"\\/\b\f\n\r\t', ['"\\u0000"'] = "\0", ['"\\u0012"'] = "\18",
      ['"\\u0060\\u012a\\u12AB"'] = "`\196\170\225\138\171", ['"\\u0022\\u005C\\u002c"'] = '"\\,',
      ['"\\\\u0000"'] = "\\u0000", ['"\\\\a"'] = "\\a", ['"\\\\n"'] = "\\n",
      ['"a/*b*/c/*d//e"'] = "a/*b*/c/*d//e", ['"\\uD801\\udc37"'] = "\240\144\144\183",
      ['"\\ud83d\\ude39\\ud83d\\udc8d"'] = "\240\159\152\185\240\159\146\141",
      ['"\\uDBFF\\uDFFF"'] = "\244\143\191\191", ['"\\uFFFF\\uFDD0"'] = "\239\191\191\239\183\144",
      ['"new\\u00A0line\\u000A"'] = "new\194\160line\n",
      ['"\\u0061\\u30af\\u30EA\\u30b9"'] = "a\227\130\175\227\131\170\227\130\185",
    })
  end)

  it("any character above space as it is", function()
    accepts({
      ['"\127"'] = "\127", ['" "'] = " ", ['"\226\130\172\240\157\132\158"'] = "\226\130\172\240\157\132\158",
      ['"\239\191\191"'] = "\239\191\191", ['"\244\143\191\191"'] = "\244\143\191\191",
      ['"\206\188"'] = "\206\188", ['"\226\128\168\226\128\169"'] = "\226\128\168\226\128\169",
      ['{"\195\169":"\195\169"}'] = { ["\195\169"] = "\195\169" },
    })
  end)

  it("the last of values with the same name, in small and large objects", function()
    assert.equal(2, decode('{"a":1,"a":2}').a)
    for count = 1, 40 do
      local pairs_of_text = { '"twice":"first"' }
      for i = 1, count do pairs_of_text[#pairs_of_text + 1] = ('"k%d":%d'):format(i, i) end
      pairs_of_text[#pairs_of_text + 1] = '"twice":"last"'
      local value = decode("{" .. table.concat(pairs_of_text, ",") .. "}")
      assert.equal("last", value.twice)
      assert.equal(count, value["k" .. count])
    end
  end)

  it("half a surrogate pair as its three bytes", function()
    assert.equal("\237\160\128", decode('"\\ud800"'))
    assert.equal("a\237\178\128b", decode('"a\\udc80b"'))
    assert.equal("\237\160\189x", decode('"\\ud83dx"'))
    assert.equal("\237\176\141\237\176\141", decode('"\\udc0d\\udc0d"'))
    assert.equal("\237\160\128\237\160\128\n", decode('"\\uD800\\uD800\\n"'))
    assert.equal("\237\160\189\240\159\144\141", decode('"\\ud83d\\ud83d\\udc0d"'))
  end)
end)

describe("Reading JSON rejects", function()
  local function rejects_all(texts)
    for _, text in ipairs(texts) do rejects("CORRUPT", text) end
  end

  it("text that is no value", function()
    rejects_all({
      "", " ", "\n", "nul", "tru", "fals", "True", "NULL", "nan", "NaN", "Infinity", "*", "<null>", "'a'",
      "abc", "a\195\165", "\195\165", "\229", "\0", "\239\187\191", "\239\187\191{}", "\239\187",
      "\226\129\160", "/", "//", "/**/", "#", "\\u000A",
    })
  end)

  it("anything behind the value", function()
    rejects_all({
      "1 2", "2@", "123\0", "nullx", "truefalse", '""x', '"a" "b"', "[1]x", "[1]]", "[][]", "[]\0", "1]",
      '[""],', "{}}", '{"a":true} "x"', '{"a":"b"}#', '{"a":"b"}//', '{"a":"b"}/**/', '{"a":"b"}/**//',
      '{"a":"b"}/', "0,", "[],[]",
    })
  end)

  it("arrays that are not well formed", function()
    rejects_all({
      "[", "]", "[1", "[1,", "[,", '[""', '["a', "[1 true]", "[a\229]", '["": 1]', "[,1]", "[1,,2]",
      '["x",,]', '["",]', "[x", "[3[4]]", "[\255]", "[1:2]", "[,]", "[-]", '[   , ""]', '["a",\n4\n,1,',
      "[1,]", "[1,,]", "[*]", "[{}", "[1\n,1\n,1", "[fals]", "[nul]", "[tru]", "[ false, nul", '["\11a"\12]',
      "[\12]", "[\226\129\160]", "[\0]", "[<null>]", "[1}", "['", "[{", "[1;2]",
    })
  end)

  it("objects that are not well formed", function()
    rejects_all({
      "{", "}", "{,", "{]", "{[", '{"a', '{"a"', '{"a":', '{"a":"a', '{"":', '["x", truth]', '{[: "x"}',
      '{"x", null}', '{"x"::"b"}', '{"a":"a" 123}', "{key: 'value'}", '{"\185":"0",}', '{"a" b}', '{:"b"}',
      '{"a" "b"}', "{1:1}", "{9999E9999:1}", "{null:null,null:null}", '{"id":0,,,,,}', "{'a':0}", '{"id":0,}',
      '{"a":"b",,"c":"d"}', '{a: "b"}', '{"foo" : "bar", "a" }', '{"a":/*comment*/"b"}', '{"x": true,',
      '{"asd":"asd"', "{'a'", '{"a":1]', '{"a"}', '{"a";1}', "{\240\159\135\168\240\159\135\173}",
      '{"a":1 "b":2}', '{true:1}', "{{}:1}",
    })
  end)

  it("numbers that are not well formed", function()
    rejects_all({
      "+", "-", "++", "+1", "+Inf", "-01", "-1.0.", "-2.", "-NaN", "-Infinity", ".-1", ".2e-3", "0.1.2",
      "0.3e", "0.3e+", "0.e1", "0E", "0E+", "0e", "0e+", "1.0e", "1.0e+", "1.0e-", "1 000.0", "1eE2", "2.e+3",
      "2.e-3", "2.e3", "9.e+", "Inf", "1+2", "\239\188\145", "0x1", "0x42", "0e+-1", "-123.123foo", "123\229",
      "1e1\229", "0\229", "-foo", "- 1", "-012", "-.123", "-1x", "1ea", "1e\229", "1.", ".123", "1.2a-3",
      "1.8011670033376514H-308", "012", "-00.0", "00.0", "00e0", "-00e0", "1_000", "1'000", "0b1", "1f",
      "--1", "1e1.5", "1e+", "[1.]", "[01]",
    })
  end)

  it("strings that are not well formed", function()
    rejects_all({
      '"', '"abc', "'", "['single quote']", '["\\uD800\\"]', '["\\uD800\\u"]', '["\\uD800\\u1"]',
      '["\\uD800\\u1x"]', "[\195\169]", '["\\\0"]', '["\\x00"]', '["\\\\\\"]', '["\\\t"]',
      '["\\\240\159\140\128"]', '["\\"]', '["\\u00A"]', '["\\uD834\\uDd"]', '["\\uD800\\uD800\\x"]',
      '["\\u\229"]', '["\\a"]', '["\\uqqqq"]', '["\\\229"]', '[\\u0020"asd"]', "[\\n]", '["\\', '["a\0a"]',
      '["new\nline"]', '["\t"]', '"\\UA66D"', '"\\u', '"\\u12', '"\\u+123"', '"\\u 123"', '"\\u00g0"',
      "[\"\\'\"]", '"\\0"', '"\31"', '"\\n\nn"',
    })
  end)

  it("strings that are not UTF-8", function()
    rejects_all({
      '"\128"', '"\255"', '"\192\128"', '"\193\191"', '"\224\159\191"', '"\237\160\128"',
      '"\240\143\191\191"', '"\244\144\128\128"', '"\195"', '"\226\130"', '"\240\159\144"', '"a\233b"',
      '{"\185":0}', '"\\n\255"', '"\195\\n"', '"' .. ("x"):rep(100) .. '\255"',
      '"\\n' .. ("x"):rep(2000) .. '\255"',
    })
  end)

  it("every beginning of a text that is complete only at its end", function()
    local text = '{"a":[1,-2.5e3,"x\\n\\u00e9\195\169",true,false,null,{}],"b":{"c":[[]]}}'
    assert.equal("table", type(decode(text)))
    for length = 0, #text - 1 do rejects("CORRUPT", text:sub(1, length)) end
  end)

  it("with a message that names the byte", function()
    assert.matches("byte 3: not a JSON value", rejects("CORRUPT", "[1,]"), 1, true)
    assert.matches("byte 6: expected `,` or `}`", rejects("CORRUPT", '{"a":1]'), 1, true)
    assert.matches("byte 4: the text ends too early", rejects("CORRUPT", '"abc'), 1, true)
    assert.matches("byte 3: not an escape", rejects("CORRUPT", '"ab\\x"'), 1, true)
    assert.matches("byte 2: more text after the value", rejects("CORRUPT", "1 2"), 1, true)
  end)

  it("containers nested deeper than 128", function()
    assert.equal("table", type(decode(nested(128))))
    assert.equal(3, #decode("[" .. nested(127) .. "," .. nested(127) .. "," .. nested(127) .. "]"))
    assert.equal("table", type(decode(("[1" .. (",1"):rep(40) .. ","):rep(127) .. "[]" .. ("]"):rep(127))))
    assert.equal("table", type(decode(("[1" .. (",1"):rep(30) .. ","):rep(127) .. "[]" .. ("]"):rep(127))))
    assert.equal("table", type(decode(('{"a":1,"b":2,"c":3,"d":'):rep(127) .. "{}" .. ("}"):rep(127))))
    rejects("TOO_BIG", nested(129))
    rejects("TOO_BIG", ("["):rep(100000))
    rejects("TOO_BIG", ('{"a":'):rep(100000))
  end)

  it("no integer that may come as a float or as its digits", function()
    local digits = "18446744073709551617"
    assert.equal(2 ^ 64, core.json_decode(digits, "float"))
    assert.equal(digits, core.json_decode("[" .. digits .. "]", "string")[1])
    assert.equal(-2 ^ 64, core.json_decode("-" .. digits, "float"))
    assert.is_nil(difference(9007199254740992, core.json_decode("9007199254740992", "float")))
    local held = has_integers and 9007199254740993
    assert.is_nil(difference(held or 2 ^ 53, core.json_decode("9007199254740993", "float")))
    assert.is_nil(difference(held or "9007199254740993", core.json_decode("9007199254740993", "string")))
    for _, integers in ipairs({ "float", "string" }) do
      assert.equal("RANGE", select(3, core.json_decode("1e400", integers)))
    end
    assert.equal("RANGE", select(3, core.json_decode("1" .. ("0"):rep(400), "float")))
  end)

  it("numbers that Lua can't hold", function()
    rejects("RANGE", "1e400")
    rejects("RANGE", "[1,-1e309]")
    assert.matches("byte 0: .*integers = \"float\"", rejects("RANGE", "9223372036854775808"))
    rejects("RANGE", "-9223372036854775809")
    rejects("RANGE", "1" .. ("0"):rep(400))
    if has_integers then
      assert.equal("9223372036854775807", tostring(decode("9223372036854775807")))
      assert.equal("-9223372036854775808", tostring(decode("-9223372036854775808")))
      assert.equal("9007199254740993", tostring(decode("9007199254740993")))
    else
      rejects("RANGE", "9007199254740993")
      rejects("RANGE", "-9223372036854775808")
    end
  end)
end)
