-- The tasks of memory_test.c: a name, a function, and a function that raises unless the store is as it was before the
-- task, or as it is after. It also puts it back. Loaded with the module and the path of a store.
local viperdb, path = ...

local db = assert(viperdb.open(path, { functions = true }))
local Point, Listed, Class = {}, {}, {}
viperdb.register("Point", Point)
viperdb.register("Listed", Listed, {
  dump = function(object) return { object.a, object.b } end,
  load = function(list) return setmetatable({ a = list[1], b = list[2] }, Listed) end,
})
local list = { "a", "b" }
local dumped = { 1, 0 / 0, list, list, [0.5] = ("text "):rep(500), [true] = "\255", name = viperdb.null,
  setmetatable({ x = 1, y = {} }, Point), setmetatable({ a = { 1, 2 }, b = "b" }, Listed), math.huge,
  f = (rawget(_G, "loadstring") or load)("return 1") }
for i = 1, 40 do dumped["key " .. i] = { i } end
local json = { list = { 1, 2, { name = "inner" } }, text = ("text "):rep(500) }
for i = 1, 40 do json["key " .. i] = { i } end

local function is_dumped(value)
  return value[2] ~= value[2] and value[3] == value[4] and value[0.5] == dumped[0.5] and value[true] == "\255"
    and value.name == viperdb.null and value[5].x == 1 and getmetatable(value[5]) == Point
    and value[6].b == "b" and getmetatable(value[6]) == Listed and value["key 40"][1] == 40
end
local function is_json(value) return value.text == json.text and value["key 40"][1] == 40 end

local function check_key(is_new)
  return function()
    local value = db:get("key")
    assert(value == "before" or is_new(value), "a half-written value")
    assert(db:check() == true, "a damaged store")
    assert(#db == 3, "another number of keys")
    db.key = "before"
  end
end
local function check_unchanged()
  assert(is_dumped(db.dumped) and is_json(db.json) and db.key == "before" and #db == 3)
end
local function check_transaction()
  assert(db:transaction(function(tx)
    local before = tx.key == "before" and not tx.count
    assert(before or is_json(tx.key) and tx.count == 1, "half a transaction")
    tx.key, tx.count = "before", nil
  end))
  check_unchanged()
end
local long_key = ("k"):rep(60000)
local function check_long_key()
  local value = db:get(long_key)
  assert(value == nil or value == 1, "a half-written value")
  db:delete(long_key)
  check_unchanged()
  assert(db:check() == true, "a damaged store")
end
local function all(result, message, code)
  return result ~= nil, message, code
end

db.key, db.dumped, db.json = "before", dumped, json
return {
  { "writing a dump", function() return db:set("key", dumped) end, check_key(is_dumped) },
  { "assigning a dump", function() db.key = dumped return true end, check_key(is_dumped) },
  { "writing JSON", function() return db:set("key", json) end, check_key(is_json) },
  { "reading a dump", function() return all(db:get("dumped")) end, check_unchanged },
  { "reading JSON", function() return all(db:get("json")) end, check_unchanged },
  { "walking", function()
    local keys = 0
    for _ in db:pairs() do keys = keys + 1 end
    return keys == 3
  end, check_unchanged },
  { "registering", function()
    viperdb.register("Class", Class, { dump = is_json, load = is_json })
    return true
  end, check_unchanged },
  { "updating", function() return db:update("key", function() return json end) end, check_key(is_json) },
  { "comparing", function() return all(db:cas("json", db.json, json)) end, check_unchanged },
  { "a transaction", function()
    return db:transaction(function(tx)
      tx.count, tx.key = 0, tx.json
      tx.count, tx.dumped = 1, tx.dumped
      return is_json(tx.key) and tx:has("dumped")
    end)
  end, check_transaction },
  { "opening and closing", function()
    local other, message, code = viperdb.open(path)
    if not other then return nil, message, code end
    local key = other:table().key == "before" and other:stats().keys == 3
    return other:close() and key
  end, check_unchanged },
  { "opening a store that syncs by itself", function()
    local other, message, code = viperdb.open(path, { sync = 100 })
    if not other then return nil, message, code end
    return other:close()
  end, check_unchanged },
  { "reading by a handle that may only read", function()
    local other, message, code = viperdb.open(path, { readonly = true })
    if not other then return nil, message, code end
    local value
    value, message, code = other:get("json")
    other:close()
    return all(value, message, code)
  end, check_unchanged },
  { "writing under a long key", function() return db:set(long_key, 1) end, check_long_key },
  { "reclaiming", function() return db:reclaim() end, check_unchanged },
  { "checking", function() return db:check({ progress = all }) end, check_unchanged },
  { "repairing", function()
    os.execute("rm -rf '" .. path .. ".repaired'")
    return viperdb.repair(path, path .. ".repaired")
  end, check_unchanged },
  { "forgetting an open store", function() return all(viperdb.open(path)) end, check_unchanged },
}
