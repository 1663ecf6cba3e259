-- stores: what is measured from Lua. Each is opened in a folder and has the same functions:
--
--   put(keys, values, first, last)   get(keys, first, last)   returns how many were there
--   put_records, get_records         the same with small tables as values
--   remove(keys, first, last)        walk()                   returns how many pairs there are
--   fetch(key)                       a value, for comparison  close()
--
-- The loops are inside, as a program would write them: no call but the store's own is in the time.

local cjson = require("cjson")

local stores = {}

-- Values stand in a list of 1000 that is used in turn.
local function turn(i) return i % 1000 + 1 end

-- A plain table: the floor.
stores.table = { name = "Lua table" }

function stores.table.open()
  local t = {}
  local function put(keys, values, first, last)
    for i = first, last do t[keys[i]] = values[turn(i)] end
  end
  local function get(keys, first, last)
    local found = 0
    for i = first, last do
      if t[keys[i]] ~= nil then found = found + 1 end
    end
    return found
  end
  return {
    put = put, get = get, put_records = put, get_records = get,
    remove = function(keys, first, last)
      for i = first, last do t[keys[i]] = nil end
    end,
    walk = function()
      local count = 0
      for _ in pairs(t) do count = count + 1 end
      return count
    end,
    fetch = function(key) return t[key] end,
    close = function() end,
  }
end

stores.viperdb = { name = "ViperDB" }

function stores.viperdb.open(folder)
  local db = assert(require("viperdb").open(folder))
  local function put(keys, values, first, last)
    for i = first, last do db[keys[i]] = values[turn(i)] end
  end
  local function get(keys, first, last)
    local found = 0
    for i = first, last do
      if db[keys[i]] ~= nil then found = found + 1 end
    end
    return found
  end
  return {
    put = put, get = get, put_records = put, get_records = get,
    remove = function(keys, first, last)
      for i = first, last do db[keys[i]] = nil end
    end,
    walk = function()
      local count = 0
      for _ in db:pairs() do count = count + 1 end
      return count
    end,
    fetch = function(key) return db[key] end,
    close = function() assert(db:close()) end,
  }
end

-- A peer of bench/stores through bench/lua/binding.c; records go through lua-cjson.
local function through_binding(name)
  return {
    name = name,
    open = function(folder, keys, binding)
      local db = binding.open(folder, keys)
      return {
        put = function(list, values, first, last)
          for i = first, last do db:put(list[i], values[turn(i)]) end
        end,
        get = function(list, first, last)
          local found = 0
          for i = first, last do
            if db:get(list[i]) ~= nil then found = found + 1 end
          end
          return found
        end,
        put_records = function(list, records, first, last)
          for i = first, last do db:put(list[i], cjson.encode(records[turn(i)])) end
        end,
        get_records = function(list, first, last)
          local found = 0
          for i = first, last do
            local text = db:get(list[i])
            if text ~= nil and cjson.decode(text) ~= nil then found = found + 1 end
          end
          return found
        end,
        remove = function(list, first, last)
          for i = first, last do db:remove(list[i]) end
        end,
        walk = function()
          local count = 0
          db:walk(function() count = count + 1 end)
          return count
        end,
        fetch = function(key) return db:get(key) end,
        close = function() db:close() end,
      }
    end,
  }
end

stores.lmdb = through_binding("LMDB, thin binding")
stores.gdbm = through_binding("GDBM, thin binding")

-- LuaSQL has no bound parameters, so each statement is a text.
stores.sqlite = { name = "SQLite, luasql" }

local function connect(folder)
  local environment = require("luasql.sqlite3").sqlite3()
  local connection = assert(environment:connect(folder .. "/db.sqlite"))
  connection:execute("pragma journal_mode = wal"):close()
  assert(connection:execute("pragma synchronous = off"))
  assert(connection:execute("pragma cache_size = -262144"))
  assert(connection:execute("create table pairs (key text primary key, value text not null) without rowid"))
  return connection, environment
end

function stores.sqlite.open(folder)
  local connection, environment = connect(folder)
  local function put_one(key, value)
    assert(connection:execute(("insert or replace into pairs values ('%s', '%s')"):format(
      connection:escape(key), connection:escape(value))))
  end
  local function get_one(key)
    local query = ("select value from pairs where key = '%s'"):format(connection:escape(key))
    local cursor = assert(connection:execute(query))
    local value = cursor:fetch()
    cursor:close()
    return value
  end
  return {
    put = function(keys, values, first, last)
      for i = first, last do put_one(keys[i], values[turn(i)]) end
    end,
    get = function(keys, first, last)
      local found = 0
      for i = first, last do
        if get_one(keys[i]) ~= nil then found = found + 1 end
      end
      return found
    end,
    put_records = function(keys, records, first, last)
      for i = first, last do put_one(keys[i], cjson.encode(records[turn(i)])) end
    end,
    get_records = function(keys, first, last)
      local found = 0
      for i = first, last do
        local text = get_one(keys[i])
        if text ~= nil and cjson.decode(text) ~= nil then found = found + 1 end
      end
      return found
    end,
    remove = function(keys, first, last)
      for i = first, last do
        local statement = ("delete from pairs where key = '%s'"):format(connection:escape(keys[i]))
        assert(connection:execute(statement))
      end
    end,
    walk = function()
      local cursor, count = assert(connection:execute("select key, value from pairs")), 0
      while cursor:fetch() do count = count + 1 end
      cursor:close()
      return count
    end,
    fetch = get_one,
    close = function()
      connection:close()
      environment:close()
    end,
  }
end

return stores
