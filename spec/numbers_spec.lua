-- Every kind of number, written by one Lua and read by another.
local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

-- Runs in every Lua. A list of numbers, how to tell what they are, and what is stored of them.
local shared = [==[
  local viperdb = require("viperdb")
  local numbers = {}
  for text in ([[
    0 1 -1 2 127 128 255 256 257 -128 -255 -256 -257 32767 65535 65536 -65537 2147483647 -2147483648 4294967296
    9007199254740991 9007199254740992 -9007199254740992 0.5 -0.5 0.1 0.30000000000000004 1e-7 123456.789
    1e15 1e16 1e17 1e100 -1e300 1.7976931348623157e308 5e-324 2.2250738585072014e-308 3.5e18 1.0 -1.0 100.0
    -0.0 9007199254740992.0 9007199254740994.0 -9007199254740994.0 1152921504606846976.0 9223372036854775808.0
    -9223372036854775808.0 18446744073709551616.0
  ]]):gmatch("%S+") do numbers[#numbers + 1] = tonumber(text) end
  for _, number in ipairs({ math.huge, -math.huge, 0 / 0 }) do numbers[#numbers + 1] = number end
  for text in ([[9007199254740993 -9007199254740993 1152921504606846976 1152921504606846977
    9223372036854775807 -9223372036854775808]]):gmatch("%S+") do
    if math.type then numbers[#numbers + 1] = math.tointeger(text) or tonumber(text) end
  end

  -- "integer 1", "float 1", or "number 1" where there is one type.
  local function describe_number(value)
    if type(value) ~= "number" then return type(value) .. " " .. tostring(value) end
    local kind = math.type and math.type(value) or "number"
    local text = (kind == "integer" and "%d" or "%.17g"):format(value)
    return kind .. " " .. (value ~= value and "nan" or text)
  end

  -- The same as it is to be in the files: "integer 1" or "float 1".
  local function describe_written(value)
    local description = describe_number(value)
    local whole = value == math.floor(value) and math.abs(value) <= 2 ^ 53 and 1 / value ~= -math.huge
    return (description:gsub("^number", whole and "integer" or "float"))
  end

  -- Where a number is stored, from the value that is there.
  local places = {
    value = function(value) return value end,
    item = function(value) return value[1] end,
    ["item beside NaN"] = function(value) return value[1] end,
    key = function(value) return (next(value)) end,
  }

  local function write_numbers(path)
    local db = assert(viperdb.open(path))
    for i, number in ipairs(numbers) do
      db["value " .. i] = number
      db["item " .. i] = { number }
      db["item beside NaN " .. i] = { number, 0 / 0 }
      if number == number then
        db["key " .. i] = { [number] = viperdb.null }
        db:set(number, i)
      end
    end
    db:close()
  end

  -- A line for each: place, number, what it is or the code of the error.
  local function read_numbers(path, options)
    local lines = {}
    local db = assert(viperdb.open(path, options))
    for place, take in pairs(places) do
      for i = 1, 100 do
        local value, _, code = db:get(place .. " " .. i)
        local text = code or (value ~= nil and describe_number(take(value)))
        if text then lines[#lines + 1] = place .. " " .. i .. ": " .. text end
      end
    end
    db:close()
    return table.concat(lines, "\n") .. "\n"
  end
]==]

local names = "numbers, describe_written, write_numbers, read_numbers"
local numbers, describe_written, write_numbers, read_numbers =
  assert((loadstring or load)(shared .. " return " .. names))() -- luacheck: ignore 113

-- Runs a program, after what is shared, in another Lua.
local function run_in(lua, program, ...)
  local file = helper.path() .. ".lua"
  helper.write_file(file, shared .. program)
  local command = { "tools/with-lua", lua, file }
  for _, argument in ipairs({ ... }) do command[#command + 1] = "'" .. argument .. "'" end
  local pipe = assert(io.popen(table.concat(command, " ") .. " 2>&1"))
  local output = pipe:read("*a")
  pipe:close()
  return output
end

local function has_integers(lua)
  return lua == "lua5.3" or lua == "lua5.4"
end

local function this_lua()
  return jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
end

-- As a key it is an integer if it equals one.
local function as_key(written)
  local text = written:match("^float (.*)$")
  local number = (tonumber(text or "") or 0.5) + 0.0 -- not all read "inf"
  if number ~= math.floor(number) or number < -2 ^ 63 or number >= 2 ^ 63 then return written end
  return "integer " .. (number == 0 and "0" or ("%.0f"):format(number))
end

-- What a Lua reads where that was written: the same, or a number, or the error RANGE.
local function as_read(lua, written, place)
  if has_integers(lua) then return written end
  local text = written:match("^integer (.*)$")
  if not text then return (written:gsub("^float", "number")) end
  local number = tonumber(text) + 0.0
  local exact = ("%.0f"):format(number) == text and number ~= 2 ^ 63
  -- a value that is an integer would not be one any more
  if place ~= "key" then exact = exact and math.abs(number) <= 2 ^ 53 end
  return exact and ("number %.17g"):format(number) or "RANGE"
end

-- The lines of a text that are not expected, and the expected ones that it lacks.
local function differences(expected, text)
  local missing, result = {}, {}
  for _, line in ipairs(expected) do missing[line] = true end
  for line in text:gmatch("[^\n]+") do
    if not missing[line] then result[#result + 1] = "there: " .. line end
    missing[line] = nil
  end
  for line in pairs(missing) do result[#result + 1] = "expected: " .. line end
  table.sort(result)
  return result
end

-- What reading prints when these were written.
local function expected_lines(written, reader)
  local lines = {}
  for i, description in ipairs(written) do
    for _, place in ipairs({ "value", "item", "item beside NaN", "key" }) do
      local here = place == "key" and as_key(description) or description
      if not (place == "key" and here:match("nan")) then
        lines[#lines + 1] = place .. " " .. i .. ": " .. as_read(reader, here, place)
      end
    end
  end
  return lines
end

local function written_here()
  local written = {}
  for i, number in ipairs(numbers) do written[i] = describe_written(number) end
  return written
end

describe("Numbers written by " .. this_lua(), function()
  local path

  setup(function()
    path = helper.path()
    write_numbers(path)
  end)

  it("are read as they were", function()
    assert.same({}, differences(expected_lines(written_here(), this_lua()), read_numbers(path)))
  end)

  it("are keys that are found again", function()
    local db = assert(viperdb.open(path))
    local last = {}
    for i, number in ipairs(numbers) do
      if number == number then last[number] = i end
    end
    for number, i in pairs(last) do assert.equal(i, db[number]) end
    db:close()
  end)

  for _, lua in ipairs({ "lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit" }) do
    it("are read by " .. lua .. " as they were, or are the error RANGE", function()
      local output = run_in(lua, "io.write(read_numbers(arg[1]))", path)
      assert.same({}, differences(expected_lines(written_here(), lua), output))
    end)

    it("come back from " .. lua, function()
      local other_path = helper.path()
      local output = run_in(lua, [[
        write_numbers(arg[1])
        for _, number in ipairs(numbers) do print(describe_written(number)) end
      ]], other_path)
      local written = {}
      for line in output:gmatch("[^\n]+") do written[#written + 1] = line end
      assert.same({}, differences(expected_lines(written, this_lua()), read_numbers(other_path)))
    end)
  end
end)

describe("An integer that a Lua without integers can't hold", function()
  local path
  local wide = "{ 9007199254740993, { -9223372036854775807, 0 / 0 }, { [9007199254740993] = 0 / 0 } }"
  local reader = jit and "luajit" or "lua5.1"

  setup(function()
    path = helper.path()
    run_in("lua5.4", "local db = viperdb.open(arg[1]) db.key = " .. wide .. [[
      db.dumped = { [9007199254740993] = "wide key" }
      db.twice = { [9007199254740992] = 1, [9007199254740993] = 2 }
      db.taken = { [9007199254740993] = 1, ["9007199254740993"] = 2 }
      db.exact = { [1152921504606846976] = 1 }
      db:close()
    ]], path)
  end)

  local function read_with(options, what)
    return run_in(reader, ("local db = viperdb.open(arg[1], %s) %s"):format(options, what), path)
  end

  it("is the error RANGE", function()
    local output = read_with("{}", "print(db:get('key')) print(db:get('dumped'))")
    assert.equal(2, select(2, output:gsub("RANGE", "")))
    assert.matches('open the store with integers = "float" or "string"', output, 1, true)
  end)

  local show = [[
    local v = db.key
    local function print_number(n) print(describe_number(n)) end
    print_number(v[1]) print_number(v[2][1]) print_number((next(v[3]))) print_number((next(db.dumped)))
  ]]

  it("is the nearest float with integers = 'float'", function()
    local near, far = "number 9007199254740992\n", "number -9.2233720368547758e+18\n"
    assert.equal(near .. far .. near .. near, read_with("{ integers = 'float' }", show))
  end)

  it("is its digits with integers = 'string'", function()
    local near, far = "string 9007199254740993\n", "string -9223372036854775807\n"
    assert.equal(near .. far .. near .. near, read_with("{ integers = 'string' }", show))
  end)

  it("is the error RANGE where it would become a key that is there already", function()
    local output = read_with("{ integers = 'float' }", "print(db:get('twice'))")
    assert.matches("two keys of a table become one.*RANGE", output)
    output = read_with("{ integers = 'string' }", "print(db:get('taken'))")
    assert.matches("two keys of a table become one.*RANGE", output)
  end)

  it("is a key where it can be held", function()
    assert.equal("number 1.152921504606847e+18\n",
      read_with("{}", "print(describe_number((next(db.exact))))"))
  end)
end)
