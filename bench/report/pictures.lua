-- pictures: what is drawn. Each function takes the results and returns an SVG, or nil when there is nothing
-- to draw.

local chart = require("chart")

local pictures = {}

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
