-- server: nginx with a configuration made of a template, for the measurements in this folder.

local server = {}

function server.read_all(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

function server.output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local output_of = server.output_of

-- The path from the root.
function server.absolute(path)
  return path:match("^/") and path or output_of("pwd"):gsub("%s+$", "") .. "/" .. path
end

local function nginx(folder, arguments)
  local command = "nginx -p '%s/' -e error.log -c nginx.conf %s 2>>'%s/error.log'"
  return os.execute(command:format(folder, arguments, folder))
end

-- Starts nginx in a new folder, with the words between @ in the configuration replaced. False and why when it
-- does not answer.
function server.start(folder, configuration, words)
  assert(os.execute(("rm -rf '%s' && mkdir -p '%s/temporary'"):format(folder, folder)))
  words.ROOT = server.absolute("."):gsub("/%.$", "")
  words.USER = output_of("id -u"):match("^0%s") and "user root;" or ""
  local file = assert(io.open(folder .. "/nginx.conf", "w"))
  file:write((configuration:gsub("daemon off;", ""):gsub("@([%u_]+)@", words)))
  file:close()
  nginx(folder, "")
  local ask = "curl -s -o %s/answer --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:%s/"
  if output_of(ask:format(folder, words.PORT) .. " && echo yes") == "" then
    return false, "nginx did not start, see " .. folder .. "/error.log"
  end
  return true
end

-- Stops it and waits for its end; `keep` leaves its folder there.
function server.stop(folder, keep)
  nginx(folder, "-s stop")
  output_of(("for i in $(seq 50); do [ -f '%s/nginx.pid' ] || break; sleep 0.1; done"):format(folder))
  if not keep then os.execute(("rm -rf '%s'"):format(folder)) end
end

return server
