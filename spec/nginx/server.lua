-- server: the service of examples/openresty, started in a folder of its own, and connections to it.
local socket = require("socket")

local server = {}
server.__index = server

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a"):gsub("\n$", "")
  pipe:close()
  return text
end

local function read_file(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

-- A killed process that nobody has waited for yet has ended too.
local function runs(pid)
  local stat = read_file("/proc/" .. pid .. "/stat")
  return stat ~= nil and stat:match("%) (%a)") ~= "Z"
end

-- For something that is about to happen.
local function wait_until(happened)
  while not happened() do socket.sleep(0.002) end
end

local function signal(name, pids)
  os.execute("kill -" .. name .. " " .. table.concat(pids, " "))
end

local function wait_for_end(pids)
  wait_until(function()
    for _, pid in ipairs(pids) do
      if runs(pid) then return false end
    end
    return true
  end)
end

-- The system names a port that is free; it stays free for long enough.
local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return port
end

-- A service that does not run yet. `open_in` is where it opens the store: "init_by_lua" or "init_worker_by_lua".
function server.new(open_in)
  local folder = output_of('mktemp -d "${TMPDIR:-/tmp}/viperdb-nginx.XXXXXX"')
  return setmetatable({ folder = folder, port = free_port(), open_in = open_in }, server)
end

-- Returns when the master is there; connections wait for the workers.
function server:start()
  os.remove(self.folder .. "/nginx.pid")
  local command = "PORT=%d OPEN_IN=%s examples/openresty/start '%s' >'%s/output' 2>&1 &"
  os.execute(command:format(self.port, self.open_in, self.folder, self.folder))
  wait_until(function()
    self.pid = (read_file(self.folder .. "/nginx.pid") or ""):match("%d+")
    return self.pid ~= nil
  end)
end

function server:workers()
  local pids = {}
  local path = ("/proc/%s/task/%s/children"):format(self.pid, self.pid)
  for pid in (read_file(path) or ""):gmatch("%d+") do
    if runs(pid) then pids[#pids + 1] = pid end
  end
  return pids
end

function server.kill_worker(pid)
  signal("KILL", { pid })
end

-- The master and the workers, in one moment.
function server:kill()
  local pids = self:workers()
  table.insert(pids, 1, self.pid)
  signal("KILL", pids)
  wait_for_end(pids)
end

function server:reload()
  signal("HUP", { self.pid })
end

function server:stop()
  local pids = self:workers()
  table.insert(pids, 1, self.pid)
  signal("QUIT", { self.pid })
  wait_for_end(pids)
end

-- Stops it if it runs, and removes the folder.
function server:remove()
  if self.pid and runs(self.pid) then self:stop() end
  os.execute("rm -rf '" .. self.folder .. "'")
end

function server:log()
  return read_file(self.folder .. "/error.log")
end

-- Connections: a request is sent and its answer received in two calls, so that many can be under way.

local connection = {}
connection.__index = connection

-- One that is served, with the `worker` that serves it.
function server:connect()
  while true do
    local open = setmetatable({ server = self, socket = socket.connect("127.0.0.1", self.port) }, connection)
    local answer = open.socket and open:send("GET", "/") and open:receive()
    if answer then
      open.worker = answer.worker
      return open
    end
    socket.sleep(0.002)
  end
end

-- Asks on a new connection. A worker that is on its way out answers once on it and closes it: then another is asked.
function server:ask(method, path)
  while true do
    local open = self:connect()
    local answer = open:ask(method, path)
    open:close()
    if answer then return answer end
  end
end

-- So many connections that half of them are with one worker and half with another. Those are free to say no to
-- a connection that came just when they ended.
function server:connect_evenly(count)
  local kept, with = {}, {}
  while #kept < count do
    local open = self:connect()
    local worker = open.worker
    with[worker] = (with[worker] or 0) + 1
    if with[worker] > count / 2 then
      open:close()
    else
      kept[#kept + 1] = open
    end
  end
  return kept
end

function connection:send(method, path, body)
  local request = "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
  return self.socket:send(request:format(method, path, #(body or ""), body or ""))
end

local function receive_head(from)
  local line = from:receive("*l")
  local status = line and line:match("^HTTP/1.1 (%d+)")
  if not status then return nil end
  local fields = {}
  while true do
    line = from:receive("*l")
    if not line or line == "" then return line and tonumber(status), fields end
    local name, value = line:match("^([^:]+): (.*)$")
    fields[name:lower()] = value
  end
end

local function receive_chunks(from)
  local chunks = {}
  while true do
    local size = from:receive("*l")
    local chunk = size and from:receive(tonumber(size, 16))
    if not chunk or not from:receive("*l") then return nil end
    if chunk == "" then return table.concat(chunks) end
    chunks[#chunks + 1] = chunk
  end
end

-- { status, body, worker }, or nil when the connection ended before all of the answer was there.
function connection:receive()
  local status, fields = receive_head(self.socket)
  if not status then return nil end
  local body = ""
  if fields["transfer-encoding"] == "chunked" then
    body = receive_chunks(self.socket)
  elseif tonumber(fields["content-length"] or 0) > 0 then
    body = self.socket:receive(tonumber(fields["content-length"]))
  end
  return body and { status = status, body = body, worker = fields["x-worker"] }
end

function connection:ask(method, path, body)
  return self:send(method, path, body) and self:receive()
end

function connection:close()
  self.socket:close()
end

return server
