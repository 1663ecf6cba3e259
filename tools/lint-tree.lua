-- lint-tree.lua: the rules of this tree that no linter knows. Run from the top of the checkout.

local problems = 0
local function problem(...)
  problems = problems + 1
  io.stderr:write(string.format(...), "\n")
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- Files that git has or would take and that match one of the quoted patterns. One that was removed but not
-- yet committed is not there to be read.
local function files(...)
  local found = {}
  local command = "git ls-files --cached --others --exclude-standard -- " .. table.concat({ ... }, " ")
  for _, path in ipairs(lines_of(command)) do
    local file = io.open(path)
    if file then
      file:close()
      found[#found + 1] = path
    end
  end
  return found
end

-- The engine's layers, from the bottom. Below them is src/text, above them src/binding. A file includes its
-- own layer or lower ones, and never in a circle. A file named `record_key` belongs to the module `record`,
-- unless it stands here itself.
local layers = {
  { "src/engine/viperdb" },
  { "src/engine/error", "src/engine/crc32", "src/engine/siphash", "src/engine/os" },
  { "src/engine/background" },
  { "src/engine/record", "src/engine/log", "src/engine/index", "src/engine/control" },
  {
    "src/engine/store", "src/engine/view", "src/engine/lookup", "src/engine/write",
    "src/engine/walk", "src/engine/recover", "src/engine/reclaim", "src/engine/sync", "src/engine/append",
    "src/engine/batch", "src/engine/check", "src/engine/scan", "src/engine/snapshot",
    "src/engine/sorter", "src/engine/swap", "src/engine/growth",
  },
}

-- What src/binding may know of the engine: its contract, and how to fill a vdb_error.
local for_binding = { ["src/engine/viperdb"] = true, ["src/engine/error"] = true }

local layer_of = {}
for height, modules in ipairs(layers) do
  for _, module in ipairs(modules) do layer_of[module] = height end
end

local function module_of(path)
  local module = path:gsub("%.[ch]$", "")
  if not module:match("^src/engine/") then return module end
  while module and not layer_of[module] do module = module:match("^(.*)_[^_/]*$") end
  return module
end

local function height_of(module)
  if module:match("^src/text/") then return 0 end
  return layer_of[module] or #layers + 1
end

local function normalize(path)
  local result = path
  repeat
    path = result
    result = path:gsub("[^/]+/%.%./", "", 1)
  until result == path
  return result
end

local function includes(path)
  local list = {}
  for line in io.lines(path) do
    local bracket, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)')
    if bracket then list[#list + 1] = { system = bracket == "<", name = name } end
  end
  return list
end

local function is_lua_header(name)
  local file = name:match("[^/]*$")
  return file:match("^lua") or file == "lauxlib.h" or file == "compat.h"
end

local function check_include(path, include, uses)
  local engine = not path:match("^src/binding/")
  if engine and is_lua_header(include.name) then
    problem("%s includes %s: only src/binding knows Lua", path, include.name)
  end
  if include.system then return end
  local target = normalize(path:match("^(.*/)") .. include.name)
  local from, to = module_of(path), module_of(target)
  if not to then
    problem("%s includes %s, which has no layer in tools/lint-tree.lua", path, target)
  elseif from and height_of(to) > height_of(from) then
    problem("%s includes %s, which is above it", path, target)
  elseif from and from:match("^src/binding/") and to:match("^src/engine/") and not for_binding[to] then
    problem("%s includes %s: the binding knows the engine by viperdb.h", path, target)
  else
    uses[path] = uses[path] or {}
    uses[path][target] = true
  end
end

local function find_circle(uses, path, visited, trail)
  if visited[path] == "done" then return end
  if visited[path] == "open" then
    problem("includes go in a circle: %s -> %s", table.concat(trail, " -> "), path)
    return
  end
  visited[path] = "open"
  trail[#trail + 1] = path
  for used in pairs(uses[path] or {}) do find_circle(uses, used, visited, trail) end
  trail[#trail] = nil
  visited[path] = "done"
end

local function check_layers()
  local uses = {}
  for _, path in ipairs(files("'src/*.c'", "'src/*.h'")) do
    if not module_of(path) then problem("%s has no layer in tools/lint-tree.lua", path) end
    for _, include in ipairs(includes(path)) do check_include(path, include, uses) end
  end
  local visited = {}
  for path in pairs(uses) do find_circle(uses, path, visited, {}) end
end

-- LuaRocks has no way to say -fvisibility=hidden, and a name that the module shows can be taken for one of
-- its host: Neovim has an os_now and a log_init. So every header says it, except the public one and those
-- without a prototype.

local not_hidden = {
  ["src/engine/viperdb.h"] = true, ["src/text/powers_table.h"] = true,
  ["src/binding/buffer.h"] = true, ["src/binding/compat.h"] = true,
}

local function check_visibility()
  for _, path in ipairs(files("'src/*.h'")) do
    local text = assert(io.open(path)):read("a")
    local push, pop = "\n#pragma GCC visibility push%(hidden%)\n", "\n#pragma GCC visibility pop\n+#endif\n$"
    local hidden = text:find(push .. ".*" .. pop)
    if not hidden and not not_hidden[path] then
      problem("%s does not hide its names: put it between #pragma GCC visibility push(hidden) and pop", path)
    end
  end
end

-- The rockspec names every C file and every Lua file, and nothing else.

local function load_rockspec(path)
  local rockspec = {}
  assert(loadfile(path, "t", rockspec))()
  return rockspec
end

local function compare_lists(what, listed, there)
  local names = {}
  for _, name in ipairs(listed) do names[name] = "listed" end
  for _, name in ipairs(there) do
    if not names[name] then problem("the rockspec's %s do not have %s", what, name) end
    names[name] = nil
  end
  for name in pairs(names) do problem("the rockspec's %s have %s, which is not there", what, name) end
end

local function check_rockspec()
  local modules = load_rockspec("rockspec/viperdb-scm-1.rockspec").build.modules
  compare_lists("sources", modules["viperdb.core"].sources, files("'src/*.c'"))

  local listed, expected = {}, {}
  for name, source in pairs(modules) do
    if type(source) == "string" then listed[#listed + 1] = name .. " = " .. source end
  end
  for _, path in ipairs(files("'lua/*.lua'")) do
    local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    expected[#expected + 1] = name .. " = " .. path
  end
  compare_lists("Lua modules", listed, expected)
end

-- Text: what no finished file has.

local function check_lines(path)
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    if line:find("%f[%w]TO" .. "DO%f[%W]") or line:find("%f[%w]FIX" .. "ME%f[%W]") then
      problem("%s:%d: do it now, or say it elsewhere", path, number)
    end
    if line:find("%s$") then problem("%s:%d: ends with blanks", path, number) end
  end
  return number
end

local function check_text()
  for _, path in ipairs(files()) do
    local stored_bytes = path:match("^spec/fixtures/") or path:match("^spec/fuzz/corpus/")
    if not stored_bytes and not path:match("%.png$") then
      local count = check_lines(path)
      local code = path:match("%.[ch]$") or path:match("%.lua$")
      if code and count > 500 then problem("%s has %d lines: 500 is the ceiling", path, count) end
    end
  end
end

check_layers()
check_visibility()
check_rockspec()
check_text()
if problems > 0 then
  io.stderr:write(problems, " problems\n")
  os.exit(1)
end
