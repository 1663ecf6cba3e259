-- helper: what the specs share: temporary folders and stores, other Lua processes, classes, and what Lua itself lacks.
local helper = {}

local root
local count = 0

-- Begins a shell command. The function that is returned waits for its output, without the last newline.
local function begin(command)
  local pipe = assert(io.popen(command))
  return function()
    local text = pipe:read("*a"):gsub("\n$", "")
    pipe:close()
    return text
  end
end

local function output_of(command)
  return begin(command)()
end

-- A path where nothing is yet, in a folder that helper.clean removes.
function helper.path()
  root = root or output_of('mktemp -d "${TMPDIR:-/tmp}/viperdb-spec.XXXXXX"')
  count = count + 1
  return root .. "/" .. count
end

-- For the teardown of every spec file that uses paths. Collects forgotten handles first.
function helper.clean()
  collectgarbage()
  collectgarbage()
  if root then os.execute("rm -rf '" .. root .. "'") end
  root = nil
end

-- A new store and its path.
function helper.store(options)
  local path = helper.path()
  return assert(require("viperdb").open(path, options)), path
end

-- The path of a copy of a folder in spec/fixtures.
function helper.copy_of(fixture)
  local path = helper.path()
  assert(output_of("cp -r 'spec/fixtures/" .. fixture .. "' '" .. path .. "' 2>&1") == "")
  return path
end

function helper.read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function helper.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- The interpreter that runs this, as a command.
local function interpreter()
  local index = 0
  while arg and arg[index - 1] do index = index - 1 end
  if index < 0 then return arg[index] end
  return os.getenv("LUA") or (jit and "luajit" or "lua" .. _VERSION:match("%d%.%d"))
end

-- Starts a Lua program with these arguments, strings without quotes, in another process of the same Lua, which
-- finds the same modules. Returns a function that waits for its end and returns what it printed.
function helper.start_bare(program, ...)
  local file = helper.path() .. ".lua"
  local paths = ("package.path, package.cpath = %q, %q "):format(package.path, package.cpath)
  helper.write_file(file, paths .. program)
  local command = { interpreter(), file }
  for _, argument in ipairs({ ... }) do command[#command + 1] = "'" .. argument .. "'" end
  return begin(table.concat(command, " ") .. " 2>&1")
end

-- The same for a program that has `viperdb` as a local.
function helper.start(program, ...)
  return helper.start_bare("local viperdb = require('viperdb') " .. program, ...)
end

-- The same, and waits.
function helper.run(program, ...)
  return helper.start(program, ...)()
end

-- For programs of helper.run: the process ends as if the machine had taken it away.
helper.die = "os.execute('kill -9 ' .. io.open('/proc/self/stat'):read('*n'))"

-- The message of the error that the function raises, or nil.
function helper.error_of(f, ...)
  local done, message = pcall(f, ...)
  if done then return nil end
  return tostring(message)
end

-- What a call on a store returned is a failure with this code. Returns its message.
function helper.fails(code, ...)
  local result, message, got = ...
  if result == nil and type(message) == "string" and got == code then return message end
  error(("the code %s was expected, the call returned %s, %s, %s"):format(code, tostring(result),
    tostring(message), tostring(got)), 2)
end

-- "integer" and "float" where this Lua tells them apart.
function helper.type_of(value)
  return math.type and math.type(value) or type(value)
end

local classes, loaded = 0, os.clock()

-- Names of classes are registered for as long as the program runs, so every test has its own. busted loads this file again
-- for each spec that it runs in one process.
function helper.class_name()
  classes = classes + 1
  return ("Class %d of %f"):format(classes, loaded)
end

-- A metatable that is registered, and its name.
function helper.new_class(hooks)
  local class, name = {}, helper.class_name()
  class.__index = class
  require("viperdb").register(name, class, hooks)
  return class, name
end

-- Makes garbage that calls the function when it is collected.
function helper.call_when_collected(f)
  local newproxy = rawget(_G, "newproxy")
  if newproxy then
    getmetatable(newproxy(true)).__gc = f
  else
    setmetatable({}, { __gc = f })
  end
end

-- What an iterator gives, as lists of keys and of values.
function helper.collect(...)
  local keys, values = {}, {}
  for key, value in ... do
    keys[#keys + 1] = key
    values[#values + 1] = value
  end
  return keys, values
end

return helper
