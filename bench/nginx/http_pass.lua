-- http_pass: requests a second of the service of examples/openresty, with ViperDB and, with the same code and
-- configuration, with a lua_shared_dict behind it.
--
-- Returns a function (build, folder, keys, runs) that gives lines as bench/measure.h has them, and a problem
-- or nil.

local server = dofile("bench/nginx/server.lua")
local output_of = server.output_of

local stored = 100000 -- keys
local seconds = 3
local services = {
  { name = "ViperDB", port = 18918, path = "" },
  { name = "lua_shared_dict", port = 18919, path = "@ROOT@/bench/nginx/dictionary/?.lua;" },
}

local function configuration(service)
  local text = server.read_all("examples/openresty/nginx.conf")
  text = text:gsub('lua_package_path "', function(head) return head .. service.path end)
  return (text:gsub("\nhttp {\n", "%0  lua_shared_dict pairs 512m;\n"))
end

local function start(service, build, folder)
  service.folder = folder .. "-" .. service.port
  return server.start(service.folder, configuration(service), {
    BUILD = server.absolute(build) .. "/jit",
    PORT = tostring(service.port),
    WORKERS = "2",
    OPEN_IN = "init_worker_by_lua",
  })
end

local function address(service) return ("http://127.0.0.1:%d"):format(service.port) end

-- Every key once, so that no GET finds nothing.
local function fill(service)
  local put = "curl -sf -o /dev/null -X PUT -d '%s' '%s/keys/[000001-%06d]' && echo done"
  return output_of(put:format(("x"):rep(100), address(service), stored)) ~= ""
end

local milliseconds = { us = 0.001, ms = 1, s = 1000 }

-- Requests a second, and the 99th percentile in milliseconds; nothing when one of the answers was an error.
local function load_with(service, method)
  local command = "wrk --latency -t1 -c32 -d%ds -s bench/nginx/requests.lua %s -- %s %d 2>&1"
  local text = output_of(command:format(seconds, address(service), method, stored))
  if text:find("Non-2xx", 1, true) or text:find("Socket errors", 1, true) then return nil end
  local late, unit = text:match("99%%%s+([%d.]+)(%a+)")
  return tonumber(text:match("Requests/sec:%s+([%d.]+)")), late and late * milliseconds[unit]
end

local function measure_all(keys, runs)
  local lines = {}
  local function add(service, workload, run, value)
    lines[#lines + 1] = ("%s\thttp: %s\t%d\t%d\t%.3f"):format(service.name, workload, keys, run, value)
  end
  for run = 1, runs do
    for _, method in ipairs({ "GET", "PUT" }) do
      for i = 1, #services do
        local service = services[(i + run) % #services + 1]
        local rate, late = load_with(service, method)
        if not rate then return lines, ("wrk: a %s of %s failed"):format(method, service.name) end
        add(service, method .. " requests a second", run, rate)
        add(service, method .. " p99 milliseconds", run, late)
      end
    end
  end
  return lines
end

local function start_all(build, folder)
  for _, service in ipairs(services) do
    local started, problem = start(service, build, folder)
    if not started then return problem end
    if not fill(service) then return "a key could not be put over HTTP" end
  end
end

return function(build, folder, keys, runs)
  local lines, problem = {}, start_all(build, server.absolute(folder))
  if not problem then lines, problem = measure_all(keys, runs) end
  for _, service in ipairs(services) do
    if service.folder then server.stop(service.folder, problem) end
  end
  return lines, problem
end
