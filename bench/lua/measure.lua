-- One store from Lua:
--
--   tools/with-lua LUA bench/lua/measure.lua STORE BINDING FOLDER KEYS RUN
--
-- STORE is a name of bench/lua/stores.lua, BINDING the shared object of bench/lua/binding.c, whose clock is
-- used for all. Prints a line a measurement, as bench/measure.h has them, with the Lua before the workload's
-- name. STORE may be "floor": an empty call from Lua to C.

package.path = "bench/lua/?.lua;" .. package.path

local cjson = require("cjson")

local store_name, binding_path, folder, keys_text, run = ...
local lua = os.getenv("LUA") or "lua"
local binding = assert(package.loadlib(binding_path, "luaopen_bench_store"))()
local now = binding.now
local count = assert(tonumber(keys_text))

-- A slow store does fewer operations.
local longest = 2e9
local stride = 500

local function emit(store, workload, nanoseconds)
  print(("%s\t%s: %s\t%s\t%s\t%.2f"):format(store, lua, workload, keys_text, run, nanoseconds))
end

-- Nanoseconds an operation, and how many of `limit` were done. `work(first, last)` says how many it found, if
-- it looks for any.
local function time(limit, work)
  collectgarbage()
  local start, done, found = now(), 0, 0
  repeat
    local last = math.min(done + stride, limit)
    found = found + (work(done + 1, last) or 0)
    done = last
  until done == limit or now() - start > longest
  return (now() - start) / done, done, found
end

local function floor()
  local nothing, calls = binding.nothing, 5000000
  local start = now()
  for _ = 1, calls do nothing() end
  emit("floor", "empty call to C", (now() - start) / calls)
end

local function time_get(store, workload, limit, expected, get)
  local nanoseconds, done, found = time(limit, get)
  assert(found == (expected and done or 0), "a get found something else")
  emit(store.name, workload, nanoseconds)
end

-- Not timed: the first values are what was put, and of records their names are.
local function verify(db, keys, values, stored)
  for i = 1, math.min(1000, stored) do
    local got, expected = db.fetch(keys[i]), values[i % 1000 + 1]
    if type(expected) == "table" then
      got, expected = (type(got) == "string" and cjson.decode(got) or got).name, expected.name
    end
    assert(got == expected, "a value is not what was put")
  end
end

-- What was not put in time is not asked for.
local function measure_texts(store, db, input)
  local keys, values, absent = input.keys(count, "a", 1), input.values(), input.keys(count, "b", 2)
  local function put(first, last) db.put(keys, values, first, last) end
  local nanoseconds, stored = time(count, put)
  emit(store.name, "put", nanoseconds)
  verify(db, keys, values, stored)
  time_get(store, "get", stored, true, function(first, last) return db.get(keys, first, last) end)
  time_get(store, "get absent", count, false, function(first, last) return db.get(absent, first, last) end)
  emit(store.name, "overwrite", (time(stored, put)))
  collectgarbage()
  local start = now()
  assert(db.walk() == stored)
  emit(store.name, "walk", (now() - start) / stored)
  emit(store.name, "delete", (time(stored, function(first, last) db.remove(keys, first, last) end)))
end

local function measure_records(store, db, input)
  local keys, records = input.keys(count, "c", 5), input.records()
  local nanoseconds, stored = time(count, function(first, last)
    db.put_records(keys, records, first, last)
  end)
  emit(store.name, "put record", nanoseconds)
  verify(db, keys, records, stored)
  time_get(store, "get record", stored, true, function(first, last)
    return db.get_records(keys, first, last)
  end)
end

local function measure(name)
  local input, store = require("input"), require("stores")[name]
  assert(os.execute(("rm -rf '%s' && mkdir -p '%s'"):format(folder, folder)))
  local db = store.open(folder, 2 * count, binding)
  measure_texts(store, db, input)
  measure_records(store, db, input)
  db.close()
  os.execute(("rm -rf '%s'"):format(folder))
end

if store_name == "floor" then floor()
else measure(store_name) end
