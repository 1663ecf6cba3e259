-- load: requests over many connections to both workers at once, and a memory of what they may find.
local load = {}
load.__index = load

-- `count` connections, which write `keys` keys each, over and over. The keys begin with `name`.
function load.new(service, name, count, keys)
  local self = {
    service = service, name = name, count = count, keys = keys,
    connections = {}, -- odd ones to one worker, even ones to the other
    sent = {}, -- by key: the newest number that was sent as its value, acknowledged or not
    known = {}, -- by key: the number that it has at least, as it was acknowledged or read
    numbers = 0, -- sent so far, by each connection
    acknowledged = 0, -- requests
    broken = 0, -- rounds in which a connection ended
    wrong = {}, -- what should not have been read
  }
  return setmetatable(self, load)
end

local function by_worker(a, b)
  return a.worker < b.worker
end

-- New connections, also after some were broken.
function load:connect()
  for _, connection in ipairs(self.connections) do connection:close() end
  local sorted = self.service:connect_evenly(self.count)
  table.sort(sorted, by_worker)
  for i = 1, self.count / 2 do
    self.connections[2 * i - 1], self.connections[2 * i] = sorted[i], sorted[self.count / 2 + i]
  end
end

local function path_of(key)
  return "/keys/" .. key
end

-- Returns the keys by connection.
function load:send_puts(depth)
  local keys = {}
  for i, connection in ipairs(self.connections) do
    keys[i] = {}
    for j = 1, depth do
      local number = self.numbers + j
      local key = ("%s-%d-%d"):format(self.name, i, number % self.keys)
      keys[i][j], self.sent[key] = key, number
      connection:send("PUT", path_of(key), tostring(number))
    end
  end
  self.numbers = self.numbers + depth
  return keys
end

function load:receive_puts(keys)
  local complete = true
  for i, connection in ipairs(self.connections) do
    for _, key in ipairs(keys[i]) do
      local answer = connection:receive()
      if not answer then
        complete = false
        break
      end
      assert(answer.status == 204, answer.body)
      self.known[key], self.acknowledged = self.sent[key], self.acknowledged + 1
    end
  end
  return complete
end

-- A number that was read has to be one of those that were sent since the known one; from now on it is known.
function load:check(key, answer)
  local found = answer.status == 404 and 0 or tonumber(answer.body)
  local least, most = self.known[key] or 0, self.sent[key]
  if not found or found < least or found > most then
    self.wrong[#self.wrong + 1] = ("%s is %s, not %d to %d"):format(key, answer.body, least, most)
  else
    self.known[key] = found
  end
end

-- Reads these keys with the connection.
function load:read(connection, keys)
  for _, key in ipairs(keys) do
    local answer = connection:ask("GET", path_of(key))
    if not answer then return false end
    self:check(key, answer)
  end
  return true
end

-- Each connection puts `depth` keys, all at the same time; what was acknowledged is read at once from both
-- workers. `disturb` is called while the requests are under way.
function load:round(depth, disturb)
  local keys = self:send_puts(depth)
  if disturb then disturb() end
  local complete = self:receive_puts(keys)
  if not complete then self:connect() end
  for i, connection in ipairs(self.connections) do
    local other = self.connections[i % 2 == 0 and i - 1 or i + 1]
    complete = self:read(connection, keys[i]) and self:read(other, keys[i]) and complete
  end
  if not complete then
    self.broken = self.broken + 1
    self:connect()
  end
end

local function receive_numbers(connection, depth, numbers)
  for _ = 1, depth do
    local answer = connection:receive()
    if not answer then return false end
    assert(answer.status == 200, answer.body)
    numbers[#numbers + 1] = tonumber(answer.body)
  end
  return true
end

-- Each connection counts `depth` times, all at the same time. Returns the numbers that were answered.
function load:increment(depth, disturb)
  local numbers, complete = {}, true
  local request = "/incr/" .. self.name
  for _, connection in ipairs(self.connections) do
    for _ = 1, depth do connection:send("POST", request) end
  end
  if disturb then disturb() end
  for _, connection in ipairs(self.connections) do
    complete = receive_numbers(connection, depth, numbers) and complete
  end
  if not complete then
    self.broken = self.broken + 1
    self:connect()
  end
  return numbers
end

-- Every key that was ever sent, from both workers. A worker that ends meanwhile is asked no further.
function load:read_all()
  local all = {}
  for key in pairs(self.sent) do all[#all + 1] = key end
  repeat
    self:connect()
  until self:read(self.connections[1], all) and self:read(self.connections[2], all)
end

return load
