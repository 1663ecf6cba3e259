local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

local function reopened(db, path)
  assert(db:close())
  return assert(viperdb.open(path))
end

describe("A store is a table that", function()
  local db, path

  before_each(function()
    db, path = helper.store()
  end)

  after_each(function()
    db:close()
  end)

  it("gives back what was assigned", function()
    db.hello = "ViperDB!"
    assert.equal("ViperDB!", db.hello)
    assert.equal("ViperDB!", db:get("hello"))
  end)

  it("has nil where nothing was assigned", function()
    assert.is_nil(db.hello)
    assert.equal(1, select("#", db:get("hello")))
    assert.is_false(db:has("hello"))
  end)

  it("keeps the last of several values", function()
    for i = 1, 100 do db.counter = i end
    assert.equal(100, db.counter)
    assert.equal(1, #db)
  end)

  it("forgets a key that is set to nil", function()
    db.hello = "ViperDB!"
    db.hello = nil
    assert.is_nil(db.hello)
    assert.is_false(db:has("hello"))
    assert.equal(0, #db)
  end)

  it("takes a nil for a key that was never there", function()
    db.hello = nil
    assert.is_true(db:set("hello", nil))
    assert.equal(0, #db)
  end)

  it("says whether a deleted key was there", function()
    db.hello = "ViperDB!"
    assert.is_true(db:delete("hello"))
    assert.is_false(db:delete("hello"))
  end)

  it("counts its keys", function()
    for i = 1, 10 do db[i] = i end
    db[3] = nil
    db[4] = "again"
    assert.equal(9, #db)
  end)

  it("is there again when it is opened again", function()
    db.hello = "ViperDB!"
    db[42] = { answer = true }
    db.gone = 1
    db.gone = nil
    db = reopened(db, path)
    assert.equal("ViperDB!", db.hello)
    assert.same({ answer = true }, db[42])
    assert.is_nil(db.gone)
    assert.equal(2, #db)
  end)

  it("shows every open handle the same", function()
    local other = assert(viperdb.open(path))
    db.hello = "from one"
    assert.equal("from one", other.hello)
    other.hello = "from the other"
    assert.equal("from the other", db.hello)
    other:close()
  end)

  it("is shared with other processes", function()
    db.question = "6 * 7"
    helper.run([[
      local db = assert(viperdb.open(arg[1]))
      db.answer = db.question .. " = 42"
      db:close()
    ]], path)
    assert.equal("6 * 7 = 42", db.answer)
  end)

  it("gives back what was just written, however much was written before", function()
    for i = 1, 20000 do
      db["key " .. i % 7] = i
      assert(db["key " .. i % 7] == i)
    end
    local text = ("some text "):rep(1000)
    for i = 1, 500 do
      db["text " .. i % 7] = text .. i
      assert(db["text " .. i % 7] == text .. i)
    end
    assert.equal(14, #db)
  end)

  it("keeps what a process wrote that was killed right after", function()
    helper.run([[
      local db = assert(viperdb.open(arg[1]))
      for i = 1, 1000 do db[i] = ("value"):rep(i % 50) end
    ]] .. helper.die, path)
    for i = 1, 1000 do assert.equal(("value"):rep(i % 50), db[i]) end
    db = reopened(db, path)
    assert.equal(1000, #db)
  end)

  it("opens after its only user was killed", function()
    db:close()
    helper.run("local db = assert(viperdb.open(arg[1])) db.last = 'word' " .. helper.die, path)
    db = assert(viperdb.open(path))
    assert.equal("word", db.last)
  end)

  it("keeps everything through a reclaim", function()
    for i = 1, 200 do db[i] = ("old"):rep(100) end
    for i = 1, 200 do db[i] = i % 2 == 0 and "new " .. i or nil end
    local before = db:stats().value_log_bytes
    assert.is_true(db:reclaim())
    assert.is_true(db:stats().value_log_bytes < before)
    assert.equal(0, db:stats().reclaimable)
    for i = 1, 200 do assert.equal(i % 2 == 0 and "new " .. i or nil, db[i]) end
    db = reopened(db, path)
    assert.equal(100, #db)
    assert.equal("new 200", db[200])
  end)

  it("can be told to write to the disk", function()
    db.hello = "ViperDB!"
    assert.is_true(db:sync())
    local stats = db:stats()
    assert.equal(stats.key_log_bytes, stats.synced_key_log)
  end)

  it("tells its sizes", function()
    db.hello = "ViperDB!"
    local stats = assert(db:stats())
    assert.equal(1, stats.keys)
    assert.equal(#'"ViperDB!"', stats.value_log_bytes)
    for _, name in ipairs({ "key_log_bytes", "index_bytes", "index_slots", "index_load" }) do
      assert.is_true(stats[name] > 0)
    end
    assert.equal("string", type(stats.boot))
  end)
end)

describe("A value comes back equal, in type too:", function()
  local function round_trip(value)
    local db, path = helper.store()
    db.value = value
    local at_once = db.value
    db = reopened(db, path)
    local later = db.value
    db:close()
    return at_once, later
  end

  local strings = {
    ["empty"] = "",
    ["plain"] = "ViperDB!",
    ["with what JSON escapes"] = '"quoted" \\back\\ /slash/ \b\f\n\r\t\0\1\31\127',
    ["of UTF-8"] = "cl\195\169 \240\159\144\141",
    ["of bytes"] = "\255\0\254\128",
    ["of half a character"] = "\195",
    ["of a lone surrogate"] = "\237\160\128",
    ["of quotes only"] = '""',
    ["long"] = ("ViperDB! "):rep(100000),
    ["long and of bytes"] = ("\255\0"):rep(100000),
    ["long with escapes"] = ('"\n'):rep(100000),
  }
  for name, value in pairs(strings) do
    it("a string, " .. name, function()
      local at_once, later = round_trip(value)
      assert.is_true(at_once == value)
      assert.is_true(later == value)
    end)
  end

  local numbers = { 0, 1, -1, 42, 0.1, 0.1 + 0.2, -1.5, 1e15, 2 ^ 53, 1e300, -1e-300, 5e-324, 1 / 3 }
  if math.type then
    for _, text in ipairs({ "1.0", "math.maxinteger", "math.mininteger", "9007199254740993", "2.0^63" }) do
      numbers[#numbers + 1] = assert(load("return " .. text))()
    end
  end
  for _, value in ipairs(numbers) do
    it(("the %s %.17g"):format(helper.type_of(value), value), function()
      local at_once, later = round_trip(value)
      assert.equal(value, at_once)
      assert.equal(value, later)
      assert.equal(helper.type_of(value), helper.type_of(later))
    end)
  end

  it("minus zero", function()
    local _, later = round_trip(-0.0)
    assert.equal(-math.huge, 1 / later)
  end)

  it("true and false", function()
    local _, later = round_trip(true)
    assert.is_true(later)
    _, later = round_trip(false)
    assert.is_false(later)
  end)

  it("false as a value that is there", function()
    local db = helper.store()
    db.value = false
    assert.is_true(db:has("value"))
    assert.equal(1, #db)
    db:close()
  end)

  it("null, which is not nil", function()
    local at_once, later = round_trip(viperdb.null)
    assert.equal(viperdb.null, at_once)
    assert.equal(viperdb.null, later)
    local _, list = round_trip({ viperdb.null, 2 })
    assert.same({ viperdb.null, 2 }, list)
  end)

  it("tables in tables", function()
    local value = { list = { 1, 2.5, "three", { four = 4 } }, empty = {}, [""] = 0, deep = { { { {} } } } }
    local at_once, later = round_trip(value)
    assert.same(value, at_once)
    assert.same(value, later)
  end)

  it("a table of a thousand fields", function()
    local value = {}
    for i = 1, 1000 do value["field " .. i] = { i, tostring(i) } end
    local _, later = round_trip(value)
    assert.same(value, later)
  end)

  it("a table as it was when it was stored", function()
    local db = helper.store()
    local value = { 1 }
    db.value = value
    value[2] = 2
    db.value[2] = 3
    assert.same({ 1 }, db.value)
    db:close()
  end)
end)

describe("A read-only handle", function()
  it("reads", function()
    local db, path = helper.store()
    db.hello = "ViperDB!"
    local reader = assert(viperdb.open(path, { readonly = true }))
    assert.equal("ViperDB!", reader.hello)
    db.hello = "again"
    assert.equal("again", reader.hello)
    reader:close()
    db:close()
  end)

  it("doesn't write", function()
    local db, path = helper.store()
    db.hello = "ViperDB!"
    db:close()
    local reader = assert(viperdb.open(path, { readonly = true }))
    local done, message, code = reader:set("hello", "changed")
    assert.is_nil(done)
    assert.is_string(message)
    assert.equal("READONLY", code)
    assert.is_string(helper.error_of(function() reader.hello = "changed" end))
    assert.equal("ViperDB!", reader.hello)
    reader:close()
  end)

  it("doesn't make a folder", function()
    local path = helper.path()
    local db, message = viperdb.open(path, { readonly = true })
    assert.is_nil(db)
    assert.is_string(message)
    assert.is_nil(io.open(path))
  end)
end)
