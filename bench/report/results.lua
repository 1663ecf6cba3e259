-- results: reads what bench/run.lua wrote, a file a part.

local results = {}
results.__index = results

local function split(line)
  local fields = {}
  for field in (line .. "\t"):gmatch("([^\t]*)\t") do fields[#fields + 1] = field end
  return fields
end

local function add_value(self, store, workload, value)
  self.values[store] = self.values[store] or {}
  local list = self.values[store][workload] or {}
  self.values[store][workload] = list
  list[#list + 1] = assert(tonumber(value))
end

local function add_about(self, name, kind, speed, batches, settings)
  self.stores[#self.stores + 1] = {
    name = name, persistent = kind == "file", slow = speed == "slow", atomic = batches == "atomic",
    settings = settings,
  }
end

local function add_package(self, name, version)
  if self.packages[name] then return end
  self.packages[name] = version
  self.packages[#self.packages + 1] = { name, version }
end

local function add_line(self, fields)
  local kind = fields[1]
  if kind == "machine" then
    self.machine[#self.machine + 1] = { fields[2], fields[3] }
    self.machine[fields[2]] = fields[3]
  elseif kind == "package" then
    add_package(self, fields[2], fields[3])
  elseif kind == "part" then
    self.parts[#self.parts + 1] = { name = fields[2], runs = tonumber(fields[3]), extent = fields[4] }
  elseif kind == "about" then
    add_about(self, fields[2], fields[3], fields[4], fields[5], fields[6])
  else
    add_value(self, fields[1], fields[2], fields[5])
  end
end

local parts = {
  "machine", "measure", "fill", "latency", "space", "processes", "readers", "lua", "nginx", "http",
}

local function read_file(self, path)
  local file = io.open(path)
  if not file then return end
  for line in file:lines() do add_line(self, split(line)) end
  file:close()
end

-- From BUILD/bench/results/KEYS, and the kill test from the folder above.
function results.read(folder)
  local self = setmetatable({ machine = {}, packages = {}, parts = {}, stores = {}, values = {} }, results)
  for _, name in ipairs(parts) do read_file(self, ("%s/%s.tsv"):format(folder, name)) end
  read_file(self, folder .. "/../kill.tsv")
  return self
end

local function values_of(self, store, workload) return (self.values[store] or {})[workload] end

function results:median(store, workload)
  local list = values_of(self, store, workload)
  if not list then return nil end
  table.sort(list)
  local middle = (#list + 1) / 2
  return (list[math.floor(middle)] + list[math.ceil(middle)]) / 2
end

function results:greatest(store, workload)
  local most
  for _, value in ipairs(values_of(self, store, workload) or {}) do
    if not most or value > most then most = value end
  end
  return most
end

-- A store of the first class: killed again and again, it never lost or spoiled what it had acknowledged.
-- `test` is "kill test", or "kill test on disk" for each write on the disk.
function results:survives(store, test)
  local wrong = self:median(store.name, (test or "kill test") .. " wrong keys")
  local unusable = self:median(store.name, (test or "kill test") .. " unusable")
  return store.persistent and wrong == 0 and unusable == 0
end

-- Names of the stores of which `accept` is true, ViperDB first, then by their times for this workload.
function results:names(accept, workload)
  local list = {}
  for _, store in ipairs(self.stores) do
    if accept(store) and self:median(store.name, workload) then list[#list + 1] = store.name end
  end
  table.sort(list, function(a, b)
    if (a == "ViperDB") ~= (b == "ViperDB") then return a == "ViperDB" end
    return self:median(a, workload) < self:median(b, workload)
  end)
  return list
end

return results
