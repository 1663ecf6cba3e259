-- tables: the report's tables, in Markdown. Each function takes the results and returns text, or nil when
-- there is nothing to show. A time stands with its ratio to ViperDB's in the same column: above 1, ViperDB is
-- faster.

local tables = {}

local function with_commas(text)
  local replaced
  repeat text, replaced = text:gsub("^(%d+)(%d%d%d)", "%1,%2") until replaced == 0
  return text
end

local function number(value)
  if value < 1 then return ("%.2f"):format(value) end
  if value < 10 then return ("%.1f"):format(value) end
  return with_commas(("%.0f"):format(value))
end

local function count(value) return with_commas(("%.0f"):format(value)) end

local function ratio(value)
  if value < 0.095 then return ("%.2f"):format(value) end
  if value < 10 then return ("%.1f"):format(value) end
  return with_commas(("%.0f"):format(value))
end

local function row(cells) return "| " .. table.concat(cells, " | ") .. " |" end

-- Columns of numbers stand right; `texts` of the first columns are text.
local function table_of(head, rows, texts)
  if #rows == 0 then return nil end
  local lines, rule = { row(head) }, {}
  for i = 1, #head do rule[i] = i <= (texts or 1) and "---" or "---:" end
  lines[2] = row(rule)
  for _, cells in ipairs(rows) do lines[#lines + 1] = row(cells) end
  return table.concat(lines, "\n")
end

-- One cell; `base` is ViperDB's value.
local function cell(value, base, scale)
  if not value then return "-" end
  local text = number(value / scale)
  if not base or base == 0 then return text end
  return ("%s (%s)"):format(text, ratio(value / base))
end

-- columns: { {title, workload}, ... }; scale: nanoseconds of the unit shown; bold for ViperDB's own row.
local function compare(results, names, columns, scale)
  local head, rows = { "" }, {}
  for i, column in ipairs(columns) do head[i + 1] = column[1] end
  for _, name in ipairs(names) do
    local cells, found = { name == "ViperDB" and "**ViperDB**" or name }, false
    for i, column in ipairs(columns) do
      local value = results:median(name, column[2])
      found = found or value ~= nil
      if name == "ViperDB" then cells[i + 1] = value and ("**%s**"):format(number(value / scale)) or "-"
      else cells[i + 1] = cell(value, results:median("ViperDB", column[2]), scale) end
    end
    if found then rows[#rows + 1] = cells end
  end
  return table_of(head, rows)
end

local writing = {
  { "put, in order", "fill in order" }, { "put, shuffled", "fill" }, { "overwrite", "overwrite" },
  { "delete", "delete" }, { "batch of 100, a key", "batch" }, { "put 100 KB", "put 100 KB" },
}

local reading = {
  { "get", "get" }, { "get, absent", "get absent" }, { "get, skewed", "get skewed" },
  { "walk, a key", "walk" }, { "get 100 KB", "get 100 KB" },
}

local ycsb = {
  { "A: half updates", "YCSB A" }, { "B: 5% updates", "YCSB B" }, { "C: reads", "YCSB C" },
  { "F: half read-modify-write", "YCSB F" },
}

local function safe(results)
  return results:names(function(store) return results:survives(store) end, "fill")
end

-- Those that the kill test caught, and memory: beside ViperDB, but in tables of their own.
local function unsafe(results)
  return results:names(function(store)
    return store.name == "ViperDB" or not results:survives(store)
  end, "fill")
end

function tables.writing(results) return compare(results, safe(results), writing, 1) end
function tables.reading(results) return compare(results, safe(results), reading, 1) end
function tables.ycsb(results) return compare(results, safe(results), ycsb, 1) end
function tables.unsafe_writing(results) return compare(results, unsafe(results), writing, 1) end
function tables.unsafe_reading(results) return compare(results, unsafe(results), reading, 1) end
function tables.unsafe_ycsb(results) return compare(results, unsafe(results), ycsb, 1) end

-- With which workload the stores are sorted, and what of them was measured with many keys.
local filling = {
  { "put, shuffled", "fill" }, { "get", "get" }, { "get, absent", "get absent" },
  { "get, skewed", "get skewed" },
}

function tables.fill(results) return compare(results, safe(results), filling, 1) end
function tables.unsafe_fill(results) return compare(results, unsafe(results), filling, 1) end

local function persistent(results, workload)
  return results:names(function(store) return store.persistent end, workload)
end

local on_disk = { { "put", "put on disk" }, { "batch of 100, a key", "batch on disk" } }

function tables.disk(results)
  local names = results:names(function(store)
    return results:survives(store, "kill test on disk")
  end, "put on disk")
  return compare(results, names, on_disk, 1000)
end

function tables.unsafe_disk(results)
  local names = results:names(function(store)
    return store.persistent and not results:survives(store, "kill test on disk")
  end, "put on disk")
  if #names == 0 and results:median("ViperDB", "put on disk") then return "None of them." end
  return compare(results, names, on_disk, 1000)
end

function tables.open(results)
  return compare(results, persistent(results, "open"), {
    { "after close", "open" }, { "after kill -9", "open after kill" },
    { "index deleted", "open without index" },
  }, 1e6)
end

function tables.processes(results)
  local columns = {}
  for _, kind in ipairs({ "read", "write", "mixed" }) do
    for _, many in ipairs({ 1, 2, 4 }) do
      columns[#columns + 1] = { ("%s, %d"):format(kind, many), ("%d processes %s"):format(many, kind) }
    end
  end
  return compare(results, results:names(function() return true end, "1 processes read"), columns, 1)
end

local function add_kills(results, rows, test, when)
  for _, store in ipairs(results.stores) do
    local killed = results:median(store.name, test .. " rounds")
    if killed then
      rows[#rows + 1] = {
        store.name, when, count(killed), count(results:median(store.name, test .. " acknowledged")),
        count(results:median(store.name, test .. " unusable")),
        count(results:median(store.name, test .. " wrong keys")),
        results:survives(store, test) and "yes" or "**no**",
      }
    end
  end
end

function tables.kill(results)
  local rows = {}
  add_kills(results, rows, "kill test", "system")
  add_kills(results, rows, "kill test on disk", "disk")
  local head = {
    "", "a write returns when it is with the", "killed", "acknowledged", "unusable", "wrong keys",
    "survives `kill -9`",
  }
  return table_of(head, rows, 2)
end

local function megabytes(bytes) return bytes and ("%.1f"):format(bytes / 1e6) or "-" end

local function space_row(results, name, workload, title)
  local live = (tonumber(results.machine.keys) or 0) / 10 * 116
  local highest = results:median(name, workload .. " highest bytes")
  local filled = results:median(name, workload .. " filled bytes")
  return {
    title, count(results:median(name, workload .. " puts")), number(results:median(name, workload)),
    megabytes(filled), megabytes(highest), megabytes(results:median(name, workload .. " last bytes")),
    ("%.1f"):format(highest / filled), ("%.1f"):format(highest / live),
  }
end

function tables.space(results)
  local rows = {}
  for _, name in ipairs(persistent(results, "hot set")) do
    rows[#rows + 1] = space_row(results, name, "hot set", name == "ViperDB" and "**ViperDB**" or name)
    if results:median(name, "hot set unreclaimed") then
      rows[#rows + 1] = space_row(results, name, "hot set unreclaimed", name .. ", `reclaim` off")
    end
  end
  local head = {
    "", "overwrites", "ns each", "MB filled", "MB highest", "MB at the end", "highest / filled",
    "highest / keys and values",
  }
  return table_of(head, rows)
end

-- Bytes on the disk for each key, when all keys were put once.
function tables.size(results)
  local rows, keys = {}, tonumber(results.machine.keys) or 0
  for _, name in ipairs(persistent(results, "filled bytes")) do
    rows[#rows + 1] = { name, number(results:median(name, "filled bytes") / keys) }
  end
  return table_of({ "", "bytes a key" }, rows)
end

local function latency_cells(results, name, workload)
  local cells = {}
  for i, part in ipairs({ "p50", "p99", "p99.9" }) do
    local value = results:median(name, workload .. " " .. part)
    cells[i] = value and number(value / 1000) or "-"
  end
  local most = results:greatest(name, workload .. " max")
  cells[4] = most and number(most / 1000) or "-"
  return table.concat(cells, " / ")
end

function tables.latency(results)
  local rows = {}
  for _, name in ipairs(persistent(results, "put latency p50")) do
    rows[#rows + 1] = {
      name, latency_cells(results, name, "put latency"), latency_cells(results, name, "get latency"),
      latency_cells(results, name, "hot put latency"),
    }
  end
  return table_of({ "p50 / p99 / p99.9 / max", "put while growing", "get", "overwrite of a hot set" }, rows)
end

local situations = {
  { "nobody", "alone" }, { "writer", "beside a writer" }, { "reclaim", "beside a writer that reclaims" },
  { "killed writers", "while writers are killed" },
}

local function readers_row(results, name, workload, title)
  local cells = { name, title }
  for i, part in ipairs({ "p50", "p99", "p99.9" }) do
    cells[i + 2] = number(results:median(name, workload .. " " .. part) / 1000)
  end
  cells[6] = number(results:greatest(name, workload .. " max") / 1000)
  local times = results:median(name, workload .. " count")
  cells[7] = times > 0 and count(times) or "-"
  return cells
end

function tables.readers(results)
  local rows = {}
  for _, name in ipairs(persistent(results, "get beside nobody p50")) do
    for _, situation in ipairs(situations) do
      local workload = "get beside " .. situation[1]
      if results:median(name, workload .. " p50") then
        rows[#rows + 1] = readers_row(results, name, workload, situation[2])
      end
    end
  end
  return table_of({ "", "a get", "p50", "p99", "p99.9", "max", "reclaims or kills" }, rows, 2)
end

local lua_columns = { "put", "get", "get absent", "overwrite", "delete", "walk", "put record", "get record" }

local lua_stores = { "ViperDB", "LMDB, thin binding", "GDBM, thin binding", "SQLite, luasql", "Lua table" }

local function from_lua(results, lua)
  local columns = {}
  for i, name in ipairs(lua_columns) do columns[i] = { name, lua .. ": " .. name } end
  return compare(results, lua_stores, columns, 1)
end

tables["lua5.4"] = function(results) return from_lua(results, "lua5.4") end
tables.luajit = function(results) return from_lua(results, "luajit") end

-- ViperDB in Lua 5.4 beside the original in Python: their times for the same workload.
function tables.original(results)
  local rows = {}
  for _, name in ipairs(lua_columns) do
    local ours, theirs = results:median("ViperDB", "lua5.4: " .. name),
      results:median("Python original", "python: " .. name)
    if ours and theirs then rows[#rows + 1] = { name, number(ours), cell(theirs, ours, 1) } end
  end
  return table_of({ "", "ViperDB, Lua 5.4", "the original, Python" }, rows)
end

function tables.http(results)
  local rows = {}
  for _, name in ipairs({ "ViperDB", "lua_shared_dict" }) do
    local cells = { name }
    for _, method in ipairs({ "GET", "PUT" }) do
      local rate = results:median(name, "http: " .. method .. " requests a second")
      local late = results:median(name, "http: " .. method .. " p99 milliseconds")
      cells[#cells + 1] = rate and count(rate) or "-"
      cells[#cells + 1] = late and ("%.1f"):format(late) or "-"
    end
    if cells[2] ~= "-" then rows[#rows + 1] = cells end
  end
  return table_of({ "", "GET a second", "GET p99, ms", "PUT a second", "PUT p99, ms" }, rows)
end

function tables.nginx(results)
  return compare(results, { "ViperDB", "lua_shared_dict" }, {
    { "put, 1 worker", "nginx: put, 1 worker" }, { "put, 2 workers", "nginx: put, 2 workers" },
    { "get, 1 worker", "nginx: get, 1 worker" }, { "get, 2 workers", "nginx: get, 2 workers" },
  }, 1)
end

function tables.floors(results)
  local names = {
    "copy 100 bytes", "copy 100 KB", "cache miss", "page fault", "system call", "pwrite 250 bytes",
    "reading the clock", "fdatasync", "lua5.4: empty call to C", "luajit: empty call to C",
  }
  local rows = {}
  for _, name in ipairs(names) do
    local value = results:median("floor", name)
    if value then rows[#rows + 1] = { name, number(value) } end
  end
  return table_of({ "", "ns" }, rows)
end

local function describe_parts(results)
  local texts = {}
  for i, part in ipairs(results.parts) do
    local runs = part.runs == 1 and "1 run" or ("%d runs"):format(part.runs)
    local extent = part.extent ~= "" and ", " .. part.extent or ""
    texts[i] = ("%s (%s%s)"):format(part.name, runs, extent)
  end
  return "- parts: " .. table.concat(texts, ", ")
end

function tables.machine(results)
  local lines = {}
  for _, pair in ipairs(results.machine) do lines[#lines + 1] = ("- %s: %s"):format(pair[1], pair[2]) end
  local packages = {}
  for i, pair in ipairs(results.packages) do packages[i] = pair[1] .. " " .. pair[2] end
  lines[#lines + 1] = describe_parts(results)
  lines[#lines + 1] = "- packages: " .. table.concat(packages, ", ")
  return table.concat(lines, "\n")
end

function tables.settings(results)
  local rows = {}
  for _, store in ipairs(results.stores) do
    local runs, atomic = store.slow and "1 in 4" or "all", store.atomic and "yes" or "no"
    rows[#rows + 1] = { store.name, store.settings, runs, atomic }
  end
  return table_of({ "", "settings", "runs", "batches are atomic" }, rows, 4)
end

return tables
