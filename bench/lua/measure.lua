-- One store from Lua:
--
--   tools/with-lua LUA bench/lua/measure.lua STORE BINDING FOLDER KEYS RUN
--
-- STORE is a name of bench/lua/stores.lua, BINDING the shared object of bench/lua/binding.c, whose clock is
-- used for all. Prints a line a measurement, as bench/measure.h has them, with the Lua before the workload's
-- name. STORE may be "floor": an empty call from Lua to C.

package.path = "bench/lua/?.lua;" .. package.path

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

-- Nanoseconds an operation, and how many were done. `work(first, last)` says how many it found, or nothing.
local function time(work)
  collectgarbage()
  local start, done, found = now(), 0, 0
  repeat
    local last = math.min(done + stride, count)
    found = found + (work(done + 1, last) or 0)
    done = last
  until done == count or now() - start > longest
  return (now() - start) / done, done, found
end

local function floor()
  local nothing, calls = binding.nothing, 5000000
  local start = now()
  for _ = 1, calls do nothing() end
  emit("floor", "empty call to C", (now() - start) / calls)
end

local function measure_texts(store, db, input)
  local keys, values = input.keys(count, "a", 1), input.values()
  local nanoseconds, stored = time(function(first, last) db.put(keys, values, first, last) end)
  emit(store.name, "put", nanoseconds)
  local done, found
  nanoseconds, done, found = time(function(first, last)
    return db.get(keys, first, math.min(last, stored))
  end)
  assert(found == math.min(done, stored))
  emit(store.name, "get", nanoseconds)
  local absent = input.keys(count, "b", 2)
  nanoseconds, done, found = time(function(first, last) return db.get(absent, first, last) end)
  assert(done > 0 and found == 0)
  emit(store.name, "get absent", nanoseconds)
  emit(store.name, "overwrite", (time(function(first, last)
    db.put(keys, values, first, math.min(last, stored))
  end)))
  collectgarbage()
  local start = now()
  assert(db.walk() == stored)
  emit(store.name, "walk", (now() - start) / stored)
  emit(store.name, "delete", (time(function(first, last) db.remove(keys, first, last) end)))
end

local function measure_records(store, db, input)
  local keys, records = input.keys(count, "c", 5), input.records()
  local nanoseconds, stored = time(function(first, last) db.put_records(keys, records, first, last) end)
  emit(store.name, "put record", nanoseconds)
  local done, found
  nanoseconds, done, found = time(function(first, last)
    return db.get_records(keys, first, math.min(last, stored))
  end)
  assert(found == math.min(done, stored))
  emit(store.name, "get record", nanoseconds)
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
