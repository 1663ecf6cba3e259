-- service: the handlers of the key-value service. README.md says what it answers.
local resty = require("resty.viperdb")

local service = {}
local db

-- A write is on the disk within a second. The files are rewritten, bit by bit, when half of them is dead.
local options = { sync = 1, reclaim = 0.5 }

function service.open(path)
  db = assert(resty.open(path, options))
end

service.close = resty.close

local status_of = { TYPE = 409, RANGE = 409, TOO_BIG = 413, BUSY = 503, CONFLICT = 503, FULL = 507 }

local function answer(status, text)
  ngx.status = status
  if not text then return end
  ngx.header.content_length = #text
  ngx.print(text)
end

local function fail(message, code)
  local status = status_of[code] or 500
  if status >= 500 then ngx.log(ngx.ERR, code, ": ", message) end
  answer(status, message .. "\n")
end

-- All digits: tostring has 14.
local function text_of(value)
  if type(value) == "number" then return ("%.17g"):format(value) end
  return type(value) == "string" and value or nil
end

local function get(key)
  local value, message, code = db:get(key)
  if message then return fail(message, code) end
  if value == nil then return answer(404, "no such key\n") end
  local text = text_of(value)
  if not text then return answer(406, "this value is a " .. type(value) .. "\n") end
  answer(200, text)
end

local function put(key)
  ngx.req.read_body()
  local ttl = ngx.var.arg_ttl
  if ttl and not tonumber(ttl) then return answer(400, "ttl is a number of seconds\n") end
  local done, message, code = db:set(key, ngx.req.get_body_data() or "", ttl and { ttl = tonumber(ttl) })
  if not done then return fail(message, code) end
  answer(204)
end

local function delete(key)
  local was_there, message, code = db:delete(key)
  if message then return fail(message, code) end
  answer(was_there and 204 or 404)
end

local function increment(key)
  local by = tonumber(ngx.var.arg_by or 1)
  if not by then return answer(400, "by is a number\n") end
  local value, message, code = db:incr(key, by)
  if not value then return fail(message, code) end
  answer(200, text_of(value))
end

-- One key a line, as in a URL. A walk sees the keys that were there when it began, so other requests may have
-- their turn meanwhile, and write.
local function list()
  local prefix = ngx.unescape_uri(ngx.var.arg_prefix or "")
  local seen = 0
  for key in db:keys() do
    if type(key) == "string" and key:sub(1, #prefix) == prefix then ngx.say(ngx.escape_uri(key)) end
    seen = seen + 1
    if seen % 1000 == 0 then ngx.sleep(0) end
  end
end

local handlers = {
  keys = { GET = get, PUT = put, DELETE = delete },
  incr = { POST = increment },
}

-- From the request line, as nginx's own variable has lost double slashes and the like. In a path a plus is a
-- plus.
local function parse(request)
  local kind, key = request:match("^/(%w+)/([^?]+)")
  if not kind then return request:match("^/(%w+)/?") end
  return kind, ngx.unescape_uri((key:gsub("%+", "%%2B")))
end

function service.answer()
  local kind, key = parse(ngx.var.request_uri)
  local method = ngx.req.get_method()
  if kind == "keys" and not key and method == "GET" then return list() end
  if not handlers[kind] or not key then return answer(404, "see examples/openresty/README.md\n") end
  local handler = handlers[kind][method]
  if not handler then return answer(405, "not for this path\n") end
  handler(key)
end

return service
