-- Stores that the Python original wrote: spec/fixtures/python-viperdb.
local helper = require("spec.helper")
local viperdb = require("viperdb")
local core = require("viperdb.core")

teardown(helper.clean)

local function open_original(name)
  local path = helper.copy_of("python-viperdb/" .. name)
  return assert(viperdb.open(path, { integers = "float" })), path
end

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

-- Equal, integers and floats told apart where this Lua does.
local function same(expected, value)
  assert.same(expected, value)
  assert.equal(helper.type_of(expected), helper.type_of(value))
end

describe("What the Python original stored", function()
  local text = helper.read_file("spec/fixtures/python-viperdb/values.expected.json")
  local expected = assert(core.json_decode(text, "float"))
  local db

  setup(function()
    db = open_original("values")
  end)

  teardown(function()
    db:close()
  end)

  it("is read under string keys", function()
    for key, value in pairs(expected.string_keys) do same(value, db:get(key)) end
    assert.equal(-math.huge, 1 / db.negzero)
  end)

  it("is read under numbers and booleans", function()
    for _, pair in ipairs(expected.other_keys) do
      local wide = pair[2] == "big int key" -- 2^53 + 1, which doubles skip
      if math.type or not wide then same(pair[2], db:get(pair[1])) end
    end
  end)

  it("is read as bytes", function()
    assert.equal(bytes_of(expected.bytes_key.hex), db[expected.bytes_key.key])
    assert.equal("", db[expected.empty_bytes_key])
  end)

  it("is read under a key that is no UTF-8", function()
    local lone = expected.lone_surrogate_key
    assert.equal(lone.value, db[bytes_of(lone.key_bytes_hex)])
  end)

  it("is not read when it is a pickle", function()
    local value, message, code = db:get(expected.pickled_key)
    assert.is_nil(value)
    assert.matches("pickle", message)
    assert.equal("UNSUPPORTED", code)
  end)

  it("is all there", function()
    local count = #expected.other_keys + 4
    for _ in pairs(expected.string_keys) do count = count + 1 end
    assert.equal(count, #(helper.collect(db:keys())))
    assert.equal(count, #db)
    assert.is_true(db:check())
  end)
end)

describe("A store of the original", function()
  local db

  after_each(function()
    db:close()
  end)

  it("with overwritten and deleted keys is read, before and after the original's reclaim", function()
    db = open_original("overwrites")
    local before = {}
    for key, value in db:pairs() do before[key] = value end
    assert.is_true(#db > 66)
    db:close()
    db = open_original("reclaimed")
    local after = {}
    for key, value in db:pairs() do after[key] = value end
    assert.same(before, after)
  end)

  it("with expirations is read", function()
    db = open_original("expiry")
    assert.equal("alive", db.future)
    assert.is_true(db:ttl("future") > 0)
    assert.is_nil(db.over)
    assert.is_nil(db.past)
    assert.equal("alive again", db.revived)
    assert.equal(math.huge, db:ttl("revived"))
  end)

  it("with a deleted key that had expired is read", function()
    db = open_original("expired_then_deleted")
    assert.equal(1, db.keep)
    assert.same({ "keep" }, (helper.collect(db:keys())))
  end)

  it("with a torn last line has everything before it", function()
    db = open_original("torn")
    assert.equal(49, #db)
    for i = 0, 48 do assert.equal(i * i, db[i]) end
    assert.is_nil(db[49])
  end)

  it("that was not closed, with deletes, is read", function()
    db = open_original("unclean_with_deletes")
    assert.equal(25, #db)
    for i = 0, 49 do assert.equal(i % 2 == 1 and i or nil, db[("k%d"):format(i)]) end
  end)

  it("with a damaged value has all others", function()
    db = open_original("bad_value")
    local value, _, code = db:get("k4")
    assert.is_nil(value)
    assert.equal("CORRUPT", code)
    assert.equal("value number 3", db.k3)
    assert.equal("value number 5", db.k5)
    assert.equal(1, (db:check()))
  end)

  it("with a damaged line is not opened, and can be repaired", function()
    local path, target = helper.copy_of("python-viperdb/bad_line"), helper.path()
    local store, message, code = viperdb.open(path)
    assert.is_nil(store)
    assert.matches("db.klog line at byte 504 .*repair", message)
    assert.equal("CORRUPT", code)
    assert.equal(1, (viperdb.repair(path, target)))
    db = assert(viperdb.open(target))
    assert.equal(9, #db)
    assert.equal("value number 9", db.k9)
  end)

  it("is written to, and read again", function()
    local path
    db, path = open_original("reclaimed")
    local count = #db
    db.k00 = { "changed" }
    db["new key"] = "new"
    db:close()
    db = assert(viperdb.open(path))
    assert.same({ "changed" }, db.k00)
    assert.equal("new", db["new key"])
    assert.equal(count + 1, #db)
    assert.is_true(db:reclaim())
    assert.equal(count + 1, #db)
  end)
end)
