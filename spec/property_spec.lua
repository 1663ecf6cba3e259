-- Random values through a store. VIPERDB_SEED repeats one run.
local core = require("viperdb.core")
local difference = require("spec.same").difference
local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

-- The same numbers in every Lua: a generator whose products stay below 2^53.
local state

local function random(n)
  state = (state * 16807) % 2147483647
  return state % n
end

local function pick(list)
  return list[1 + random(#list)]
end

local edges = {
  0, 1, -1, 127, 128, 255, 256, -256, -257, 65535, 65536, 2 ^ 31, -2 ^ 31, 2 ^ 32, 2 ^ 53 - 1, 2 ^ 53, -2 ^ 53, 2 ^ 53 + 2,
  2 ^ 62, 2 ^ 63, -2 ^ 63, 2 ^ 64, 0.5, -0.5, 0.1, 1e-7, 1e15, 1e16, 1e100, 1.7976931348623157e308, 5e-324,
  math.huge, -math.huge, tonumber("-0.0"),
}
if math.type then
  for i = 1, #edges do edges[#edges + 1] = math.tointeger(edges[i]) end
  edges[#edges + 1] = math.maxinteger
  edges[#edges + 1] = math.mininteger
end

local texts = {
  "", "a", "text", "0", "1", "true", "null", "nil", " ", "\0", "\n", "\r\n", "\"", "\\", "/", "\127", "\255", "\192\128",
  "\195\169", "\226\130\172", "\240\159\144\141", "\237\160\128", "\239\187\191", "\1\2\3", ("long "):rep(20),
  ("x"):rep(63), ("x"):rep(64), ("y"):rep(255), ("y"):rep(256), "__index", "__gc", "{}", "[]", "\27Lua", "\27LJ",
}

local Point, Listed = {}, {}
viperdb.register("Property.Point", Point)
viperdb.register("Property.Listed", Listed, {
  dump = function(object)
    local list = {}
    for key, value in next, object do list[#list + 1] = { key, value } end
    return list
  end,
  load = function(list)
    local object = {}
    for _, pair in ipairs(list) do object[pair[1]] = pair[2] end
    return setmetatable(object, Listed)
  end,
})

local function random_number()
  local kind = random(4)
  if kind == 0 then return pick(edges) end
  if kind == 1 then return random(1000) - 500 end
  if kind == 2 then return (random(2 ^ 31) - 2 ^ 30) / (1 + random(1000)) end
  return (random(2 ^ 26) * 2 ^ 27 + random(2 ^ 27)) * (random(2) * 2 - 1)
end

local function random_bytes()
  local bytes = {}
  for i = 1, random(70) do bytes[i] = string.char(random(256)) end
  return table.concat(bytes)
end

local function random_string()
  return random(3) == 0 and random_bytes() or pick(texts)
end

local function random_key()
  local kind = random(8)
  if kind < 4 then return random_string() end
  if kind < 6 then return 1 + random(6) end
  if kind == 6 then return random_number() end
  return random(2) == 0
end

local random_value

-- Fills a table; everything that was made so far can be met again, the table itself included.
local function fill(object, depth, made)
  if random(2) == 0 then
    for i = 1, random(6) do object[i] = random_value(depth - 1, made) end
  end
  for _ = 1, random(6) do object[random_key()] = random_value(depth - 1, made) end
  return object
end

local function random_table(depth, made)
  local kind = random(10)
  -- nothing can lead back to a listed object, so it is there to be met only when it is filled
  if kind == 0 then return setmetatable(fill({}, depth, {}), Listed) end
  local object = kind == 1 and setmetatable({}, Point) or {}
  made[#made + 1] = object
  return fill(object, depth, made)
end

local scalars = {
  random_number,
  random_string,
  function() return random(2) == 0 end,
  function() return 0 / 0 end,
  function() return viperdb.null end,
}

random_value = function(depth, made)
  local kind = random(10)
  if kind == 0 and #made > 0 then return pick(made) end
  if depth > 0 and kind < 5 then return random_table(depth, made) end
  return pick(scalars)()
end

-- A table that JSON holds: what is random there decides between the two encodings too seldom.
local function random_record(depth)
  local record = {}
  for i = 1, random(5) do
    local value = depth > 0 and random(3) == 0 and random_record(depth - 1) or pick({ "text", i, i + 0.5, true })
    if random(4) == 0 then value = random_number() end
    record["field " .. i] = value
  end
  return record
end

local function value_for(seed)
  state = 1 + seed % 2147483646
  for _ = 1, 10 do random(2) end
  local kind = random(8)
  if kind == 0 then return random_record(3) end
  if kind == 1 then return random_value(0, {}) end
  return random_table(1 + random(6), {})
end

local seeds = {}
for seed = 1, 2000 do seeds[seed] = seed * 7919 end
if os.getenv("VIPERDB_SEED") then seeds = { tonumber(os.getenv("VIPERDB_SEED")) } end

describe("A random value", function()
  local db, path

  before_each(function()
    db, path = helper.store()
  end)

  after_each(function()
    db:close()
  end)

  local function check(seed, value, read)
    local different = difference(value, read)
    if different then error(("seed %d: %s"):format(seed, different)) end
  end

  it("comes back equal, at once and when the store is opened again", function()
    for _, seed in ipairs(seeds) do
      local value = value_for(seed)
      assert(db:set(seed, value))
      check(seed, value, db[seed])
    end
    db:close()
    db = assert(viperdb.open(path))
    for _, seed in ipairs(seeds) do check(seed, value_for(seed), db[seed]) end
    assert.equal(#seeds, #db)
  end)

  it("comes back equal as a key, where it can be one", function()
    local last = {}
    for _, seed in ipairs(seeds) do
      state = 1 + seed
      local key = random_key()
      if key == key then
        db:set(key, seed)
        last[key] = seed
      end
    end
    for key, seed in pairs(last) do check(seed, seed, db:get(key)) end
    local keys = 0
    for key, seed in db:pairs() do
      keys = keys + 1
      assert.equal(seed, last[key])
    end
    assert.equal(#db, keys)
  end)

  it("is dumped to the same bytes when it was read", function()
    for _, seed in ipairs(seeds) do
      local value = value_for(seed)
      local bytes = assert(core.dump_encode(value))
      local read = core.dump_decode(bytes)
      check(seed, value, read)
      if not bytes:find("Property.Listed", 1, true) then assert.equal(bytes, core.dump_encode(read)) end
    end
  end)

  it("is refused as a whole or stored as a whole when something in it can't be stored", function()
    for i = 1, math.min(#seeds, 300) do
      local value = value_for(seeds[i])
      if type(value) == "table" and getmetatable(value) == nil then
        value[#value + 1] = { [random_string()] = { print } }
        local result, message, code = db:set("key", value)
        assert.is_nil(result)
        assert.equal("TYPE", code)
        assert.matches("is a function", message)
      end
    end
    assert.equal(0, #db)
  end)
end)
