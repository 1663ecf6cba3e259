-- loops_pass: ViperDB beside lua_shared_dict inside nginx, one worker alone and two at once.
--
-- Returns a function (build, folder, keys, runs) that gives lines as bench/measure.h has them, and a problem
-- or nil.

local server = dofile("bench/nginx/server.lua")
local output_of = server.output_of

local port = 18917
local count = 500000

local function url(store, kind)
  return ("'http://127.0.0.1:%d/run?store=%s&kind=%s&count=%d'"):format(port, store, kind, count)
end

-- Two requests at once, until each worker has got one; nanoseconds an operation of both together.
local function both(store, kind)
  local request = "curl -sf " .. url(store, kind)
  for _ = 1, 40 do
    local text = output_of(("sh -c \"%s & %s & wait\""):format(request, request))
    local first, one, second, other = text:match("(%d) (%S+)%s+(%d) (%S+)")
    if first and first ~= second then return math.max(tonumber(one), tonumber(other)) / 2 end
  end
end

local function alone(store, kind)
  return tonumber(output_of("curl -sf " .. url(store, kind)):match("%d (%S+)"))
end

local names = { dict = "lua_shared_dict", viperdb = "ViperDB" }

local function measure_all(keys, runs)
  local lines = {}
  local function add(store, workload, run, value)
    if not value then return ("nginx did not answer for %s: %s"):format(store, workload) end
    lines[#lines + 1] = ("%s\tnginx: %s\t%d\t%d\t%.2f"):format(names[store], workload, keys, run, value)
  end
  for run = 1, runs do
    for _, store in ipairs({ "dict", "viperdb" }) do
      for _, kind in ipairs({ "put", "get" }) do
        local problem = add(store, kind .. ", 1 worker", run, alone(store, kind))
          or add(store, kind .. ", 2 workers", run, both(store, kind))
        if problem then return lines, problem end
      end
    end
  end
  return lines
end

return function(build, folder, keys, runs)
  folder = server.absolute(folder)
  local words = { BUILD = server.absolute(build), FOLDER = folder, PORT = tostring(port) }
  local started, problem = server.start(folder, server.read_all("bench/nginx/nginx.conf"), words)
  if not started then return {}, problem end
  local lines
  lines, problem = measure_all(keys, runs)
  server.stop(folder, problem)
  return lines, problem
end
