-- pictures: what is drawn. Each function takes the results and returns an SVG, or nil when there is nothing
-- to draw.

local chart = require("chart")

local pictures = {}

-- In the order of the report.
pictures.names = { "basics", "latency", "space", "processes", "readers", "lua", "http" }

local function row_of(results, name, kind, workloads)
  local values, found = {}, false
  for i, workload in ipairs(workloads) do
    values[i] = results:median(name, workload)
    found = found or values[i] ~= nil
  end
  return found and { name = name, kind = kind, values = values } or nil
end

local function kind_of(results, store)
  if store.name == "ViperDB" then return "ours" end
  if not store.persistent then return "floor" end
  return results:survives(store) and "safe" or "unsafe"
end

local places = { ours = 1, safe = 2, unsafe = 3, floor = 4 }

local function sorted(rows)
  table.sort(rows, function(a, b)
    if places[a.kind] ~= places[b.kind] then return places[a.kind] < places[b.kind] end
    return (a.values[1] or 0) < (b.values[1] or 0)
  end)
  return rows
end

local function stores(results, workloads)
  local rows = {}
  for _, store in ipairs(results.stores) do
    rows[#rows + 1] = row_of(results, store.name, kind_of(results, store), workloads)
  end
  return sorted(rows)
end

local function note(results, text)
  local size = "%s %s keys of 16 bytes, values of 100 bytes, %s."
  return size:format(text, results.machine.keys or "?", results.machine.processor or "?")
end

function pictures.basics(results)
  local rows = stores(results, { "fill", "get" })
  if #rows == 0 then return nil end
  local title = "Nanoseconds an operation, from C, one thread (less is better)"
  return chart.draw(title, rows, { "put, shuffled", "get, shuffled" },
    note(results, "Yellow: lost or spoiled writes when it was killed. Light: memory only."))
end

function pictures.processes(results)
  local rows = stores(results, { "1 processes mixed", "2 processes mixed", "4 processes mixed" })
  if #rows == 0 then return nil end
  return chart.draw("Nanoseconds an operation of all processes together (less is better)", rows,
    { "1 process", "2 processes", "4 processes" }, note(results, "95% reads, skewed."))
end

-- As the chart's other values: the greatest of all runs, in microseconds.
local function slowest(results, workloads)
  local rows = {}
  for _, store in ipairs(results.stores) do
    local values = {}
    for i, workload in ipairs(workloads) do
      local most = results:greatest(store.name, workload .. " max")
      values[i] = most and most / 1000
    end
    if values[1] and store.persistent then
      rows[#rows + 1] = { name = store.name, kind = kind_of(results, store), values = values }
    end
  end
  return sorted(rows)
end

function pictures.latency(results)
  local rows = slowest(results, { "put latency", "get latency", "hot put latency" })
  if #rows == 0 then return nil end
  return chart.draw("The slowest call of all, in microseconds (less is better)", rows,
    { "put while growing", "get", "overwrite of a hot set" }, note(results, "Each call timed by itself."))
end

local function space_row(results, name, workload, title, kind)
  local live = (tonumber(results.machine.keys) or 0) / 10 * 116
  local highest = results:median(name, workload .. " highest bytes")
  local filled = results:median(name, workload .. " filled bytes")
  if not highest then return nil end
  return { name = title, kind = kind, values = { highest / filled, highest / live } }
end

function pictures.space(results)
  local rows = {}
  for _, store in ipairs(results.stores) do
    rows[#rows + 1] = space_row(results, store.name, "hot set", store.name, kind_of(results, store))
    rows[#rows + 1] = space_row(results, store.name, "hot set unreclaimed", "ViperDB, reclaim off", "ours")
  end
  if #rows == 0 then return nil end
  return chart.draw("Most space on the disk while a hot set is overwritten (less is better)", sorted(rows),
    { "times the filled store", "times keys and values" },
    note(results, "A tenth of the keys, a tenth of them overwritten. Of"))
end

-- Workloads of readers.c, and what the picture calls them.
local situations = {
  { "nobody", "alone" }, { "writer", "writer" }, { "reclaim", "reclaim" }, { "killed writers", "kills" },
}

function pictures.readers(results)
  local rows = {}
  for _, store in ipairs(results.stores) do
    for _, what in ipairs(situations) do
      local middle = results:median(store.name, "get beside " .. what[1] .. " p50")
      if middle then
        rows[#rows + 1] = {
          name = store.name .. ", " .. what[2], kind = kind_of(results, store),
          values = { middle, results:median(store.name, "get beside " .. what[1] .. " p99") },
        }
      end
    end
  end
  if #rows == 0 then return nil end
  return chart.draw("Nanoseconds of a get beside other processes (less is better)", rows, { "p50", "p99" },
    note(results, "A writer; one that also reclaims; writers killed and started again."))
end

function pictures.http(results)
  local rows, methods = {}, { "GET", "PUT" }
  for _, pair in ipairs({ { "ViperDB", "ours" }, { "lua_shared_dict", "floor" } }) do
    local workloads = {}
    for i, method in ipairs(methods) do workloads[i] = ("http: %s requests a second"):format(method) end
    rows[#rows + 1] = row_of(results, pair[1], pair[2], workloads)
  end
  if #rows == 0 then return nil end
  return chart.draw("Requests a second of the OpenResty example (more is better)", rows, methods,
    "nginx with 2 workers and the load generator on one machine. A lua_shared_dict is only memory.")
end

local from_lua = {
  { "ViperDB", "ours" }, { "LMDB, thin binding", "safe" }, { "GDBM, thin binding", "safe" },
  { "SQLite, luasql", "safe" }, { "Lua table", "floor" },
}

function pictures.lua(results)
  local rows = {}
  for _, pair in ipairs(from_lua) do
    rows[#rows + 1] = row_of(results, pair[1], pair[2],
      { "lua5.4: put record", "lua5.4: get record", "luajit: put record", "luajit: get record" })
  end
  if #rows == 0 then return nil end
  return chart.draw("Nanoseconds for a small table as value, from Lua (less is better)", sorted(rows),
    { "Lua 5.4, put", "Lua 5.4, get", "LuaJIT, put", "LuaJIT, get" },
    "Peers store text made by lua-cjson. A Lua table only keeps the reference.")
end

return pictures
