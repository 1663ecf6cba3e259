-- pass: ViperDB beside lua_shared_dict inside nginx, one worker alone and two at once.
--
-- Returns a function (build, work, keys, runs) that gives lines as bench/measure.h has them, and a problem or
-- nil.

local port = 18917
local count = 200000

local function read_all(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function write_configuration(build, work)
  local words = {
    ROOT = output_of("pwd"):gsub("%s+$", ""),
    BUILD = build,
    WORK = work,
    PORT = tostring(port),
    USER = output_of("id -u"):match("^0%s") and "user root;" or "",
  }
  local text = read_all("bench/nginx/nginx.conf"):gsub("@(%u+)@", words)
  local file = assert(io.open(work .. "/nginx.conf", "w"))
  file:write(text)
  file:close()
end

local function nginx(work, arguments)
  local command = "nginx -p '%s' -c '%s/nginx.conf' %s 2>>'%s/error.log'"
  return os.execute(command:format(work, work, arguments, work))
end

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

return function(build, work, keys, runs)
  if not work:match("^/") then work = output_of("pwd"):gsub("%s+$", "") .. "/" .. work end
  assert(os.execute(("rm -rf '%s' && mkdir -p '%s'"):format(work, work)))
  write_configuration(build, work)
  local started = nginx(work, "")
  if started ~= true and started ~= 0 then
    return {}, "nginx did not start, see " .. work .. "/error.log"
  end
  os.execute("sleep 1")
  local lines, problem = measure_all(keys, runs)
  nginx(work, "-s stop")
  os.execute("sleep 1")
  if not problem then os.execute(("rm -rf '%s'"):format(work)) end
  return lines, problem
end
