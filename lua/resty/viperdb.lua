-- resty.viperdb: stores in OpenResty, and in nginx with its Lua module.
--
--   init_worker_by_lua_block {
--     db = assert(require("resty.viperdb").open("/var/lib/shop", { sync = 1 }))
--   }
--   exit_worker_by_lua_block { require("resty.viperdb").close() }
--
-- However often it is asked for, a store is opened once in a Lua state: that is once in a worker. One that is
-- opened in init_by_lua is opened in the master, and each worker takes a handle of its own at its first call.
-- What the master makes belongs to its user, so where the master is root and the workers are not, open the
-- store in init_worker_by_lua. During a reload the old and the new workers have the store open.
--
-- A call runs to its end before the worker turns to its next request. Most take microseconds. With
-- sync = "always" each write waits for the disk, with a number of seconds none does. The functions that
-- db:update and db:transaction call can't yield, so nothing in them may wait for the network or sleep; in the
-- loop over a walk all of that is allowed.

local viperdb = require("viperdb")

local resty = {}
local stores = {}

-- nginx has its own idea of where a relative path begins.
local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  return ngx.config.prefix() .. path
end

---The store in the folder `path`, seen from nginx's prefix. Opens it, with the options of viperdb.open, when
---it is not open yet.
---@param path string
---@param options? viperdb.OpenOptions
---@return viperdb.Store? store
---@return string? message
---@return viperdb.Code? code
function resty.open(path, options)
  path = absolute(path)
  if stores[path] then return stores[path] end
  local db, message, code = viperdb.open(path, options)
  stores[path] = db
  return db, message, code
end

---Closes all of them, for exit_worker_by_lua. Failures go to the error log.
function resty.close()
  for path, db in pairs(stores) do
    stores[path] = nil
    local done, message = db:close()
    if not done then ngx.log(ngx.ERR, message) end
  end
end

return resty
