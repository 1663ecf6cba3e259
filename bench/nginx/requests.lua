-- requests: what wrk sends: GET, or PUT of 100 bytes, of any of KEYS keys in random order.
--
--   wrk ... -s requests.lua URL -- METHOD KEYS

-- luacheck: globals wrk init request

local requests = {}
local turn = 0

function init(arguments)
  local method, keys = arguments[1], tonumber(arguments[2])
  local body = method == "PUT" and ("x"):rep(100) or nil
  math.randomseed(keys)
  for i = 1, 100000 do
    requests[i] = wrk.format(method, ("/keys/%06d"):format(math.random(keys)), nil, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
