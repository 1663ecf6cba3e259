-- Runs the benchmark, part by part, and writes what comes out to a file a part, a line a measurement:
--
--   lua5.4 bench/run.lua KEYS RUNS ROUNDS BUILD
--
-- BUILD is the folder with what `make bench-programs` built; the lines go to BUILD/bench/results/KEYS, those
-- of the kill test to BUILD/bench/results, as they do not depend on KEYS. A part that is measured again
-- replaces its file only, so a run can be made in pieces. In the environment: STORES and PARTS, to measure
-- some of it, HOT_SECONDS, how long the hot set is overwritten, BENCH_DIR, where the stores are, and
-- ORIGINAL, where the Python original is.
--
-- The order of the stores is another one in every run, so that a slow moment of the machine meets all of
-- them.

local keys, runs, rounds, build = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), arg[4]
assert(keys and runs and rounds and build, "usage: bench/run.lua KEYS RUNS ROUNDS BUILD")

local programs = build .. "/bench"
local data = os.getenv("BENCH_DIR") or programs .. "/data"
local hot_seconds = tonumber(os.getenv("HOT_SECONDS") or 60)
local results_folder = ("%s/results/%d"):format(programs, keys)
local results

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

local all_stores = "viperdb kyoto tkrzw tokyo lmdb gdbm leveldb rocksdb sqlite hash_map"
local stores = words(os.getenv("STORES") or all_stores)
local lua_stores = { "viperdb", "lmdb", "gdbm", "sqlite", "table" }
local parts = words(os.getenv("PARTS") or "kill measure latency space processes readers lua nginx http")

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
  .. "libnginx-mod-http-lua wrk"

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
  local pipe = assert(io.popen("dpkg-query -W -f '${Package}\t${Version}\n' " .. packages .. " 2>/dev/null"))
  for line in pipe:lines() do record("package", line) end
  pipe:close()
end

local slow = {}

local function describe_stores()
  for _, store in ipairs(words(all_stores)) do
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

-- `command` of each store's program, in so many runs.
local function each_program(command, turns, seconds, more)
  each_store(command, turns, function(store, turn)
    run(seconds, "%s/%s %s %s/%s %d %d %s", programs, store, command, data, store, keys, turn, more or "")
  end)
end

-- In how many runs a part takes part. Space takes long, and the kill test has rounds of its own.
local turns_of = setmetatable({ measure = runs, fill = runs, kill = 1, space = 1 }, {
  __index = function() return math.min(runs, 3) end,
})

-- What a part is given beside its runs.
local extent_of = { kill = rounds .. " kills each way", space = hot_seconds .. " seconds" }

local passes = {}

function passes.kill() each_program("kill", turns_of.kill, 600, rounds) end

function passes.measure()
  for turn = 1, runs do run(300, "%s/floors %s/floors %d %d", programs, data, keys, turn) end
  each_program("measure", runs, 3600)
end

function passes.fill() each_program("fill", runs, 3600) end

function passes.latency() each_program("latency", turns_of.latency, 1800) end

function passes.space() each_program("space", turns_of.space, 1800, hot_seconds) end

function passes.processes() each_program("processes", turns_of.processes, 1800) end

function passes.readers() each_program("readers", turns_of.readers, 1800) end

local function measure_from_lua(lua, store, turn)
  local abi = lua:gsub("^lua", "")
  local binding = ("%s/lua/%s/%s.so"):format(programs, abi, store)
  if not io.open(binding) then binding = ("%s/lua/%s/lmdb.so"):format(programs, abi) end
  run(900, "env VIPERDB_BUILD=%s tools/with-lua %s bench/lua/measure.lua %s %s %s/lua %d %d", build, lua,
    store, binding, data, keys // 4, turn)
end

-- The Python original, where Python finds it.
local function measure_original(turn)
  local folder = os.getenv("ORIGINAL")
  local python = (folder and ("env PYTHONPATH='%s' "):format(folder) or "") .. "python3 -B"
  if first_line(python .. " -c 'import viperdb; print(1)'") ~= "1" then
    return say("the Python original is not installed")
  end
  run(900, "%s bench/lua/original.py %s/original %d %d", python, data, keys // 4, turn)
end

function passes.lua()
  for turn = 1, turns_of.lua do
    for _, lua in ipairs({ "lua5.4", "luajit" }) do
      say("%s %d of %d", lua, turn, turns_of.lua)
      measure_from_lua(lua, "floor", turn)
      for _, store in ipairs(rotated(lua_stores, turn)) do
        if takes_part(store, turn) then measure_from_lua(lua, store, turn) end
      end
    end
    say("Python %d of %d", turn, turns_of.lua)
    measure_original(turn)
  end
end

-- What a file in bench/nginx measures.
local function in_nginx(name, file)
  say(name)
  local measure = dofile("bench/nginx/" .. file)
  local lines, problem = measure(build, data .. "/nginx", keys, turns_of[name])
  for _, line in ipairs(lines) do record(line) end
  if problem then
    failures[#failures + 1] = problem
    say("FAILED: %s", problem)
  end
end

function passes.nginx() in_nginx("nginx", "loops_pass.lua") end

function passes.http() in_nginx("http", "http_pass.lua") end

local function open_results(path)
  results = assert(io.open(path, "w"))
end

local function measure_part(name)
  local pass = assert(passes[name], "there is no part " .. name)
  open_results(("%s/%s.tsv"):format(name == "kill" and programs .. "/results" or results_folder, name))
  record("part", name, tostring(turns_of[name]), extent_of[name] or "")
  pass()
  results:close()
end

assert(os.execute(("mkdir -p '%s' '%s'"):format(data, results_folder)))
open_results(results_folder .. "/machine.tsv")
describe_machine()
describe_stores()
results:close()
for _, name in ipairs(parts) do measure_part(name) end
say("%s is complete", results_folder)
if #failures > 0 then
  io.stderr:write(#failures, " programs failed, their numbers are missing\n")
  os.exit(1)
end
