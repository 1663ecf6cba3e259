-- resty.viperdb of another kind, for the benchmark of the HTTP service: what service.lua stores goes to a
-- lua_shared_dict. The service's own code stays the same.

local resty = {}

local store = {}
store.__index = store

function store:get(key) return (self.dictionary:get(key)) end

function store:set(key, value)
  local done, message = self.dictionary:set(key, value)
  if not done then return nil, message, "FULL" end
  return true
end

function resty.open() return setmetatable({ dictionary = ngx.shared.pairs }, store) end

function resty.close() end

return resty
