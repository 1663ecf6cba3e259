local helper = require("spec.helper")
local oracle = require("spec.oracle.oracle")
local viperdb = require("viperdb")

teardown(helper.clean)

local function open(path)
  return assert(viperdb.open(path, oracle.open_options))
end

local function fixture(name)
  return helper.copy_of("python-viperdb/" .. name)
end

-- As assert.same, but shows only the first difference.
local function same_lines(expected, lines)
  for i, line in ipairs(expected) do
    if line ~= lines[i] then assert.equal(line, lines[i]) end
  end
  assert.equal(#expected, #lines)
end

-- The store holds what its files say, which is what is returned.
local function agrees(db, path, form)
  local lines = oracle.load(path, form)
  same_lines(oracle.without_times(lines), oracle.contents(db))
  return lines
end

local function lines_of_numbers(first, last, step, line)
  local lines = {}
  for i = first, last, step do lines[#lines + 1] = line(i) end
  return lines
end

describe("A folder that the original wrote", function()
  it("has every kind of value under every kind of key", function()
    local path = fixture("values")
    local db = open(path)
    local expected = oracle.expected("spec/fixtures/python-viperdb/values.expected.json")
    assert.equal(44, #expected)
    same_lines(expected, oracle.contents(db))
    same_lines(expected, agrees(db, path))
    assert.is_true(db:check())
    db:close()
  end)

  it("has integers that a Lua without integers refuses to round", function()
    local db = assert(viperdb.open(fixture("values")))
    for name, digits in pairs({ big = "9007199254740993", int64max = "9223372036854775807" }) do
      local value, message, code = db:get(name)
      if math.type then
        assert.equal(digits, ("%d"):format(value))
        assert.equal("integer", math.type(value))
      else
        assert.is_nil(value)
        assert.matches("integers =", message)
        assert.equal("RANGE", code)
      end
    end
    db:close()
  end)

  it("has a key of a byte that is no text", function()
    local db = open(fixture("values"))
    assert.equal("lone surrogate key", db["lone\128"])
    db["lone\128"] = "written"
    assert.equal("written", db["lone\128"])
    assert.equal(44, #db)
    db:close()
  end)

  it("keeps a pickle that nobody but Python reads, through a reclaim too", function()
    local path = fixture("values")
    local db = open(path)
    local function is_kept()
      local value, message, code = db:get("pickled")
      assert.is_nil(value)
      assert.matches("pickle", message)
      assert.equal("UNSUPPORTED", code)
      assert.matches("pickle", helper.error_of(function() return db.pickled end))
      assert.is_true(db:has("pickled"))
      assert.equal(44, #db)
    end
    is_kept()
    assert.is_true(db:reclaim())
    is_kept()
    agrees(db, path, "ours")
    db:close()
    db = open(path)
    is_kept()
    assert.equal("ViperDB!", db.hello)
    db:close()
  end)

  for _, name in ipairs({ "overwrites", "reclaimed" }) do
    it("has the newest version of every key: " .. name, function()
      local path = fixture(name)
      local db = open(path)
      local expected = {}
      for i = 0, 99 do
        local again, kept = i % 9 == 0 and "again" or nil, i % 3 ~= 0 and { round = 4, i = i } or nil
        expected[("k%02d"):format(i)] = again or kept
      end
      for key, value in pairs(expected) do assert.same(value, db[key]) end
      for key in db:keys() do assert.is_not_nil(expected[key]) end
      assert.equal(78, #db)
      assert.equal(78, #agrees(db, path))
      db:close()
    end)
  end

  it("has no key that expired, and not the version before it either", function()
    local path = fixture("expiry")
    local db = open(path)
    assert.equal("alive", db.future)
    assert.is_true(db:ttl("future") < math.huge)
    assert.is_nil(db.over)
    assert.is_nil(db.past)
    assert.equal("alive again", db.revived)
    assert.equal(math.huge, db:ttl("revived"))
    same_lines({ oracle.line("future", 4102444800000, "alive"), oracle.line("revived", nil, "alive again") },
      agrees(db, path))
    assert.is_true(db:reclaim())
    assert.equal(2, #db)
    assert.equal(2, #agrees(db, path, "ours"))
    db:close()
  end)

  it("has no key that was deleted when it had expired", function()
    local path = fixture("expired_then_deleted")
    local db = open(path)
    assert.is_false(db:has("gone"))
    assert.is_false(db:delete("gone"))
    same_lines({ oracle.line("keep", nil, 1) }, agrees(db, path))
    assert.equal(1, #db)
    db:close()
  end)

  it("opens after an unclean end with deletes", function()
    local path = fixture("unclean_with_deletes")
    local db = open(path)
    local function line(i) return oracle.line("k" .. i, nil, i) end
    same_lines(lines_of_numbers(1, 49, 2, line), agrees(db, path))
    db:close()
    assert.is_nil(io.open(path .. "/.OPEN"))
    assert.equal(25, #oracle.load(path))
  end)

  it("loses a last line that is torn, and nothing else", function()
    local path = fixture("torn")
    local torn = helper.read_file(path .. "/db.klog"):match("[^\n]+$")
    local db = open(path)
    local function line(i) return oracle.line(i, nil, i * i) end
    same_lines(lines_of_numbers(0, 48, 1, line), agrees(db, path))
    assert.is_nil(db[49])
    db[49] = "written again"
    db:close()
    local pipe = assert(io.popen("cat '" .. path .. "'/db.lost-*.klog"))
    assert.equal(torn, pipe:read("*a"))
    pipe:close()
    db = open(path)
    assert.equal("written again", db[49])
    agrees(db, path)
    db:close()
  end)

  it("has a damaged value, which is CORRUPT, and the others", function()
    local path = fixture("bad_value")
    local db = open(path)
    local value, message, code = db:get("k4")
    assert.is_nil(value)
    assert.equal("CORRUPT", code)
    assert.matches("db%.vlog", message)
    assert.matches("byte 64", message)
    assert.matches("viperdb%.repair", message)
    for i = 0, 9 do
      if i ~= 4 then assert.equal("value number " .. i, db["k" .. i]) end
    end
    assert.equal(oracle.line("k4", nil, 0):gsub("0$", "damaged"), oracle.load(path)[5])
    db.k4 = "sound"
    assert.equal("sound", db.k4)
    agrees(db, path)
    db:close()
  end)

  it("does not open with a damaged line, and says where it is and what to do", function()
    local path = fixture("bad_line")
    local before = helper.read_file(path .. "/db.klog")
    local db, message, code = viperdb.open(path)
    assert.is_nil(db)
    assert.equal("CORRUPT", code)
    assert.matches("db%.klog", message)
    assert.matches("byte 504", message)
    local remedy = ('run viperdb.repair("%s", "%s.repaired")'):format(path, path)
    assert.equal(remedy, message:sub(-#remedy))
    assert.equal(before, helper.read_file(path .. "/db.klog"))
    assert.matches("byte 504", helper.error_of(oracle.load, path))
    local target = helper.path()
    assert.equal(1, (viperdb.repair(path, target)))
    db = open(target)
    assert.equal(9, #db)
    assert.is_nil(db.k4)
    assert.equal("value number 5", db.k5)
    agrees(db, target, "ours")
    db:close()
  end)
end)

-- A random walk through everything that changes a store, the same one at every run.
local seed
local function random(limit)
  seed = seed * 16807 % 2147483647
  return seed % limit
end

local far, past = 4102444800000, 1000

local Point = {}
viperdb.register("original_spec.Point", Point)
oracle.classes[Point] = "original_spec.Point"

local keys = {
  "hello", "", "get", "pairs", "cl\195\169 \240\159\144\141", "\255\254", "half \195", 'quote" back\\slash/',
  "\0\1\8\9\10\12\13\31\127", "1", "true", 0, 1, -1, 42, 2 ^ 53, -2 ^ 53, 0.5, -1.5, 1e-7, 1e-5, 0.0001, 1e16,
  123456789.123, 1e100, 5e-324, math.huge, -math.huge, true, false,
}
for i = 1, 20 do keys[#keys + 1] = "k" .. i end

local values = {
  function(i) return i end,
  function(i) return i / 7 end,
  function(i) return 2 ^ (i % 1000) end,
  function(i) return i % 2 == 0 end,
  function() return viperdb.null end,
  function(i) return ("text " .. i .. " "):rep(i % 20) end,
  function(i) return "\240\159\144\141 \194\128 \"\\/\n" .. i end,
  function(i) return ("\255\0" .. i):rep(i % 10) end,
  function(i) return { i, { i }, "three", viperdb.null, false } end,
  function(i) return { i = i, list = { 1, 2, 3 }, inner = { ["a key"] = i / 3 } } end,
  function() return {} end,
  function(i) return ("x"):rep(20000 + i) end,
  function(i) return i % 2 == 0 and math.huge or 0 / 0 end,
  function(i) return { i, "two", [0] = i, [-i] = 1, [i + 0.5] = 2, [true] = 3, [false] = 4, ["\255"] = "\254" } end,
  function(i) return setmetatable({ x = i, y = -i / 2, ("s"):rep(100) }, Point) end,
  function(i)
    local shared, loop = { i }, {}
    loop.list = { shared, loop, setmetatable({ shared }, Point), shared }
    return loop
  end,
}

-- What has been written, in the order of the last write.
local function new_model()
  local model = { order = {}, entries = {} }

  function model.forget(key)
    model.entries[key] = nil
    for i, other in ipairs(model.order) do
      if other == key then table.remove(model.order, i) end
    end
  end

  function model.put(key, value, expiration)
    model.forget(key)
    model.order[#model.order + 1] = key
    model.entries[key] = { value = value, expiration = expiration }
  end

  function model.lines()
    local lines = {}
    for _, key in ipairs(model.order) do
      local entry = model.entries[key]
      if entry.expiration ~= past then lines[#lines + 1] = oracle.line(key, entry.expiration, entry.value) end
    end
    return lines
  end

  return model
end

-- The key as a store's walk returns it.
local function normal(key)
  return math.type and math.type(key) == "float" and math.tointeger(key) or key
end

local changes = {
  function(db, model, key, value)
    assert(db:set(key, value))
    model.put(key, value)
  end,
  function(db, model, key, value)
    local expiration = random(2) == 0 and far or past
    assert(db:set_with_expiration(key, value, expiration))
    model.put(key, value, expiration)
  end,
  function(db, model, key)
    local there = db:has(key)
    assert.equal(there, db:delete(key))
    model.forget(key)
  end,
  function(db, model, key)
    local there = db:has(key)
    assert.equal(there, db:persist(key))
    if there and model.entries[key] then model.put(key, model.entries[key].value) end
  end,
  function(db, model, key, value)
    local others = { "batch " .. random(5), "batch " .. 5 + random(5) }
    assert(db:transaction(function(tx)
      assert(tx:set(others[1], value))
      tx:delete(key)
      assert(tx:set(others[2], value, { expiration = far }))
    end))
    model.put(others[1], value)
    model.forget(key)
    model.put(others[2], value, far)
  end,
}
local likely = { 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5 }

local function change_much(db, model, times)
  for _ = 1, times do
    local key = normal(keys[random(#keys) + 1])
    local value = values[random(#values) + 1](random(1000))
    changes[likely[random(#likely) + 1]](db, model, key, value)
  end
end

local function sorted(list)
  table.sort(list)
  return list
end

describe("Python reads what this Lua wrote", function()
  local db, path, model

  before_each(function()
    seed = 4711
    path = helper.path()
    db = open(path)
    model = new_model()
  end)

  after_each(function()
    db:close()
  end)

  -- After a reclaim, which orders by key, the order is for the files to say.
  local function all_agree(form, reclaimed)
    local lines, expected = agrees(db, path, form), model.lines()
    if reclaimed then
      sorted(expected)
      sorted(lines)
    end
    same_lines(expected, lines)
  end

  it("while the store is open, and after it was closed", function()
    change_much(db, model, 500)
    all_agree("ours")
    db:close()
    local lines = oracle.load(path, "ours")
    same_lines(model.lines(), lines)
    local log = helper.read_file(path .. "/db.klog")
    for _, field in ipairs({ "batch", "expiration", "prev" }) do assert.matches('"' .. field .. '": ', log) end
    for _, name in ipairs({ "json", "bytes", "lua" }) do assert.matches('"encoding": "' .. name, log) end
    db = open(path)
    all_agree("ours")
    change_much(db, model, 200)
    all_agree("ours")
  end)

  it("after a reclaim, and after further writes", function()
    change_much(db, model, 500)
    assert.is_true(db:reclaim())
    all_agree("ours", true)
    assert.equal(#model.lines(), #db)
    change_much(db, model, 200)
    all_agree("ours", true)
    assert.is_true(db:reclaim())
    db:close()
    db = open(path)
    all_agree("ours", true)
  end)

  it("after the process was killed", function()
    db:close()
    helper.run("local db = assert(viperdb.open(arg[1])) for i = 1, 100 do db['k' .. i % 10] = i end " .. helper.die,
      path)
    local lines = oracle.load(path, "ours")
    assert.equal(10, #lines)
    db = open(path)
    same_lines(lines, agrees(db, path, "ours"))
  end)

  it("after a key's expiration was changed", function()
    db.key = "value"
    assert.is_true(db:expire("key", 3600))
    assert.is_true(db:ttl("key") <= 3600)
    assert.matches('^"key"\t%d+\t"value"$', agrees(db, path, "ours")[1])
    assert.is_true(db:expire("key", -1))
    assert.same({}, agrees(db, path, "ours"))
  end)

  it("when the original wrote the folder first", function()
    for _, name in ipairs({ "values", "overwrites", "reclaimed", "expiry", "torn", "unclean_with_deletes" }) do
      db:close()
      path = fixture(name)
      db = open(path)
      change_much(db, model, 200)
      db:close()
      db = open(path)
      agrees(db, path)
      assert.is_true(db:reclaim())
      agrees(db, path, "ours")
    end
  end)
end)

describe("This Lua reads what the original wrote into a store", function()
  local db, path, model

  before_each(function()
    seed = 42
    path = helper.path()
    model = new_model()
    db = open(path)
    change_much(db, model, 300)
    db.kept, db.changed, db.deleted = "kept", "before", "before"
    db:close()
  end)

  after_each(function()
    db:close()
  end)

  local calls = {
    '["set", "changed", {"by": "Python"}]', '["del", "deleted"]', '["set", "new", 0.1]', '["set", 7, "seven"]',
    '["set", "gone", 1, 1000]', '["set", "later", 1, 4102444800000]', '["set", "\\udcff", "byte"]',
  }

  local function is_there()
    assert.same({ by = "Python" }, db.changed)
    assert.equal("kept", db.kept)
    assert.is_nil(db.deleted)
    assert.equal(0.1, db.new)
    assert.equal("seven", db[7])
    assert.is_nil(db.gone)
    assert.equal(1, db.later)
    assert.equal("byte", db["\255"])
    assert.is_true(#agrees(db, path) > 7)
    assert.is_true(db:check())
  end

  it("when it appended lines", function()
    oracle.write(path, calls)
    db = open(path)
    is_there()
    db:close()
    db = open(path)
    is_there()
  end)

  it("when it replaced the files", function()
    oracle.write(path, { '["set", "between", 1]', '["reclaim"]' })
    oracle.write(path, calls)
    db = open(path)
    is_there()
    assert.equal(1, db.between)
  end)

  it("when both took turns", function()
    oracle.write(path, calls)
    for turn = 1, 3 do
      db = open(path)
      change_much(db, model, 50)
      db.turn = turn
      if turn == 2 then assert.is_true(db:reclaim()) end
      db:close()
      oracle.write(path, { '["set", "turn", "Python\'s"]', '["del", "turn"]', '["set", "last", ' .. turn .. "]" })
      db = open(path)
      assert.is_nil(db.turn)
      assert.equal(turn, db.last)
      agrees(db, path)
      db:close()
    end
    db = open(path)
    agrees(db, path)
  end)
end)
