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

local text_of

local function table_text(value)
  local parts = {}
  if value[1] ~= nil then
    for i, element in ipairs(value) do parts[i] = text_of(element) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for name, element in pairs(value) do parts[#parts + 1] = text_of(name) .. "=" .. text_of(element) end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

function text_of(value)
  if value == viperdb.null then return "null" end
  if type(value) == "string" then return '"' .. value:gsub('["\\]', escape):gsub("[^ -~]", escape) .. '"' end
  if type(value) == "table" then return table_text(value) end
  if type(value) ~= "number" then return tostring(value) end
  if not math.type then return ("%.17g"):format(value) end
  return math.type(value) == "integer" and ("%d"):format(value) or ("float %.17g"):format(value)
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
    assert(not done or walked == key)
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
