-- oracle: what a store holds, as lines of text; from Python, which reads its files, and from this Lua, through the
-- module. Both print the form that load.py describes, so that equal contents are equal lists.
local viperdb = require("viperdb")

local oracle = {}

-- Where numbers are only floats, both sides print them so, and integers are read as the nearest float.
local options = math.type and "" or "doubles"
oracle.open_options = { integers = "float" }

local function lines_of(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo ended with $?"))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  local status = table.remove(lines)
  return lines, status == "ended with 0"
end

-- A sanitizer's runtime, which this Lua may have been started with, is nothing for Python.
local function run(script, argument, more)
  local call = "LD_PRELOAD= python3 -BSE spec/oracle/%s '%s' %s %s"
  local command = call:format(script, argument, options, more or "")
  local lines, done = lines_of(command)
  if not done then error(table.concat(lines, "\n"), 2) end
  return lines
end

-- What the folder holds by its files. With "ours" every line has to be as ViperDB prints it. Raises what is wrong.
function oracle.load(path, form)
  return run("load.py", path, form)
end

-- What a values.expected.json says.
function oracle.expected(file)
  return run("expected.py", file)
end

-- Calls of the original on a folder, as JSON texts such as '["set", "key", 1]'. Raises when one fails.
function oracle.write(path, calls)
  run("original.py", path, "'[" .. table.concat(calls, ", "):gsub("'", "'\\''") .. "]'")
end

local function escape(character)
  return ("\\%02x"):format(character:byte())
end

-- The order of keys in a dump: false, true, integers, floats, strings.
local function rank(key)
  if type(key) == "boolean" then return key and 2 or 1 end
  if type(key) == "string" then return 5 end
  return key == math.floor(key) and key >= -2 ^ 63 and key < 2 ^ 63 and 3 or 4
end

local function comes_before(a, b)
  if rank(a) ~= rank(b) then return rank(a) < rank(b) end
  return type(a) ~= "boolean" and a < b
end

-- The names of the metatables that specs register.
oracle.classes = {}

local text_of

local function table_text(value, seen)
  if seen[value] then return "^" .. seen[value] end
  seen[value] = seen.count
  seen.count = seen.count + 1
  local parts, keys = {}, {}
  for i, item in ipairs(value) do parts[i] = text_of(item, seen) end
  local items = #parts
  for key in pairs(value) do
    local is_item = type(key) == "number" and rank(key) == 3 and key >= 1 and key <= items
    if not is_item then keys[#keys + 1] = key end
  end
  table.sort(keys, comes_before)
  for _, key in ipairs(keys) do parts[#parts + 1] = text_of(key, seen) .. "=" .. text_of(value[key], seen) end
  return (oracle.classes[getmetatable(value)] or "") .. "{" .. table.concat(parts, ",") .. "}"
end

local function number_text(value)
  if value ~= value then return "nan" end
  if not math.type then return ("%.17g"):format(value) end
  return math.type(value) == "integer" and ("%d"):format(value) or ("float %.17g"):format(value)
end

function text_of(value, seen)
  if value == viperdb.null then return "null" end
  if type(value) == "string" then return '"' .. value:gsub('["\\]', escape):gsub("[^ -~]", escape) .. '"' end
  if type(value) == "table" then return table_text(value, seen or { count = 0 }) end
  return type(value) == "number" and number_text(value) or tostring(value)
end
oracle.text_of = text_of

-- A line of load.py. The expiration is in milliseconds, or nil.
function oracle.line(key, expiration, value)
  return ("%s\t%s\t%s"):format(text_of(key), expiration and ("%.0f"):format(expiration) or "-", text_of(value))
end

local unreadable = { UNSUPPORTED = "unsupported", CORRUPT = "damaged" }

-- The text of a value whose walk failed.
local function failure_text(db, key)
  local _, message, code = db:get(key)
  return unreadable[code] or tostring(message)
end

-- What the store holds by walking it. When a key expires is not to be had exactly, so it is `expires` or `-`.
function oracle.contents(db)
  local next_key, step, lines = db:keys(), db:pairs(), {}
  for key in next_key do
    local done, walked, value = pcall(step)
    local text = done and text_of(value) or failure_text(db, key)
    assert(not done or walked == key, "keys and pairs differ")
    local left = db:ttl(key)
    lines[#lines + 1] = table.concat({ text_of(key), left and left < math.huge and "expires" or "-", text }, "\t")
  end
  return lines
end

-- The lines of oracle.load in the form of oracle.contents.
function oracle.without_times(lines)
  local list = {}
  for i, line in ipairs(lines) do list[i] = line:gsub("\t%d+\t", "\texpires\t") end
  return list
end

return oracle
