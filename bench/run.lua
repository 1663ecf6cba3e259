-- Runs the whole benchmark and writes what comes out to one file, a line a measurement:
--
--   lua5.4 bench/run.lua KEYS RUNS ROUNDS BUILD
--
-- BUILD is the folder with what `make bench-programs` built; the lines go to BUILD/bench/results-KEYS.tsv,
-- for bench/report.lua. In the environment: STORES and PARTS, to try some of it, and BENCH_DIR, where the
-- stores are.
--
-- The order of the stores is another one in every run, so that a slow moment of the machine meets all of
-- them.

local keys, runs, rounds, build = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), arg[4]
assert(keys and runs and rounds and build, "usage: bench/run.lua KEYS RUNS ROUNDS BUILD")

local programs = build .. "/bench"
local data = os.getenv("BENCH_DIR") or programs .. "/data"
local results_path = ("%s/results-%d.tsv"):format(programs, keys)
local results = assert(io.open(results_path, "w"))

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

local all_stores = "viperdb kyoto tkrzw tokyo lmdb gdbm leveldb rocksdb sqlite hash_map"
local stores = words(os.getenv("STORES") or all_stores)
local lua_stores = { "viperdb", "lmdb", "gdbm", "sqlite", "table" }
local parts = {}
for _, part in ipairs(words(os.getenv("PARTS") or "kill measure latency processes lua nginx")) do
  parts[part] = true
end

local started = os.time()
local failures = {}

local function say(...)
  io.stderr:write(("%3d:%02d  "):format((os.time() - started) // 60, (os.time() - started) % 60),
    string.format(...), "\n")
end

local function record(...)
  results:write(table.concat({ ... }, "\t"), "\n")
  results:flush()
end

-- What the command prints goes into the results as it is.
local function run(seconds, command, ...)
  local text = command:format(...)
  local pipe = assert(io.popen("timeout " .. seconds .. " " .. text))
  for line in pipe:lines() do record(line) end
  if not pipe:close() then
    failures[#failures + 1] = text
    say("FAILED: %s", text)
  end
end

local function first_line(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local line = pipe:read("l")
  pipe:close()
  return line or ""
end

-- What has to be known to read the numbers.

local packages = "liblmdb-dev libkyotocabinet-dev libtkrzw-dev libtokyocabinet-dev libgdbm-dev "
  .. "libleveldb-dev librocksdb-dev libsqlite3-dev lua5.4 luajit2 lua-sql-sqlite3 lua-cjson nginx "
  .. "libnginx-mod-http-lua"

local function describe_machine()
  record("machine", "date", os.date("!%Y-%m-%d"))
  record("machine", "processor", first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo") .. ", "
    .. first_line("nproc") .. " cores")
  record("machine", "memory",
    first_line("awk '/^MemTotal/ {printf \"%.0f GB\", $2 / 1048576}' /proc/meminfo"))
  record("machine", "system", first_line(". /etc/os-release; echo $PRETTY_NAME, Linux $(uname -r)"))
  record("machine", "file system", first_line("df --output=fstype '" .. data .. "' | tail -1"))
  record("machine", "compiler", first_line("cc --version"))
  record("machine", "ViperDB", first_line("git describe --always --dirty"))
  record("machine", "load before", first_line("cut -d' ' -f1-3 /proc/loadavg"))
  record("machine", "keys", tostring(keys))
  record("machine", "runs", tostring(runs))
  local pipe = assert(io.popen("dpkg-query -W -f '${Package}\t${Version}\n' " .. packages .. " 2>/dev/null"))
  for line in pipe:lines() do record("package", line) end
  pipe:close()
end

local slow = {}

local function describe_stores()
  for _, store in ipairs(stores) do
    local line = first_line(("%s/%s about"):format(programs, store))
    record("about", line)
    slow[store] = line:find("\tslow\t") ~= nil
  end
end

-- The passes.

-- The list from another place on in each run.
local function rotated(list, turn)
  local out = {}
  for i = 1, #list do out[i] = list[(i + turn - 2) % #list + 1] end
  return out
end

-- Slow stores take part in the first run and in every fourth after it.
local function takes_part(store, turn)
  return not slow[store] or turn % 4 == 1
end

local function each_store(what, turns, call)
  for turn = 1, turns do
    for _, store in ipairs(rotated(stores, turn)) do
      if takes_part(store, turn) then
        say("%s %d of %d: %s", what, turn, turns, store)
        call(store, turn)
      end
    end
  end
end

local passes = {}

function passes.kill()
  for _, store in ipairs(stores) do
    say("kill test: %s", store)
    run(300, "%s/%s kill %s/%s %d 1 %d", programs, store, data, store, keys, rounds)
  end
end

function passes.measure()
  for turn = 1, runs do run(300, "%s/floors %s/floors %d %d", programs, data, keys, turn) end
  each_store("run", runs, function(store, turn)
    run(3600, "%s/%s measure %s/%s %d %d", programs, store, data, store, keys, turn)
  end)
end

function passes.latency()
  each_store("latency", math.min(runs, 3), function(store, turn)
    run(1800, "%s/%s latency %s/%s %d %d", programs, store, data, store, keys, turn)
  end)
end

function passes.processes()
  each_store("processes", math.min(runs, 3), function(store, turn)
    run(1800, "%s/%s processes %s/%s %d %d", programs, store, data, store, keys, turn)
  end)
end

local function measure_from_lua(lua, store, turn)
  local abi = lua:gsub("^lua", "")
  local binding = ("%s/lua/%s/%s.so"):format(programs, abi, store)
  if not io.open(binding) then binding = ("%s/lua/%s/lmdb.so"):format(programs, abi) end
  run(900, "env VIPERDB_BUILD=%s tools/with-lua %s bench/lua/measure.lua %s %s %s/lua %d %d", build, lua,
    store, binding, data, keys // 4, turn)
end

function passes.lua()
  for turn = 1, math.min(runs, 3) do
    for _, lua in ipairs({ "lua5.4", "luajit" }) do
      say("%s, run %d", lua, turn)
      measure_from_lua(lua, "floor", turn)
      for _, store in ipairs(rotated(lua_stores, turn)) do measure_from_lua(lua, store, turn) end
    end
  end
end

function passes.nginx()
  say("nginx")
  local lines, problem = dofile("bench/nginx/pass.lua")(build, data .. "/nginx", keys, math.min(runs, 3))
  for _, line in ipairs(lines) do record(line) end
  if problem then
    failures[#failures + 1] = problem
    say("FAILED: %s", problem)
  end
end

assert(os.execute(("mkdir -p '%s'"):format(data)))
describe_machine()
describe_stores()
local load_before = tonumber(first_line("cut -d' ' -f1 /proc/loadavg")) or 0
if load_before > 0.5 then
  say("other programs are running (load %.1f): the numbers will be noisy", load_before)
end
for _, name in ipairs({ "kill", "measure", "latency", "processes", "lua", "nginx" }) do
  if parts[name] then passes[name]() end
end
results:close()
say("%s is complete", results_path)
if #failures > 0 then
  io.stderr:write(#failures, " programs failed, their numbers are missing\n")
  os.exit(1)
end
