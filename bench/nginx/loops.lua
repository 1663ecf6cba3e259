-- loops: what the benchmark's nginx does in a request. /run?store=dict&kind=put&count=100000 does so many
-- operations on a shared dictionary or a ViperDB store and answers with the worker's number and nanoseconds
-- an operation.

-- luacheck: read globals ngx

local loops = {}

local prepared = 100000
local keys, value, db = {}, ("x"):rep(100), nil

function loops.open(path)
  db = assert(require("viperdb").open(path))
  for i = 1, prepared do keys[i] = ("%015da"):format(i * 7919 % prepared) end
end

local kinds = { dict = {}, viperdb = {} }

function kinds.dict.put(count)
  local dict = ngx.shared.pairs
  for i = 1, count do assert(dict:set(keys[i % prepared + 1], value)) end
end

function kinds.dict.get(count)
  local dict = ngx.shared.pairs
  for i = 1, count do assert(dict:get(keys[i % prepared + 1])) end
end

function kinds.viperdb.put(count)
  for i = 1, count do db[keys[i % prepared + 1]] = value end
end

function kinds.viperdb.get(count)
  for i = 1, count do assert(db[keys[i % prepared + 1]]) end
end

local function now()
  ngx.update_time()
  return ngx.now()
end

function loops.run()
  local arguments = ngx.req.get_uri_args()
  local count = tonumber(arguments.count)
  local start = now()
  kinds[arguments.store][arguments.kind](count)
  ngx.say(ngx.worker.id(), " ", (now() - start) * 1e9 / count)
end

return loops
