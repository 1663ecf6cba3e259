local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

describe("A key", function()
  local db, path

  before_each(function()
    db, path = helper.store()
  end)

  after_each(function()
    db:close()
  end)

  -- Stores under every key, and reads in this handle and after opening again.
  local function keeps(keys)
    for key in db:keys() do db[key] = nil end
    for i, key in ipairs(keys) do db:set(key, i) end
    for i, key in ipairs(keys) do assert.equal(i, db:get(key)) end
    db:close()
    db = assert(viperdb.open(path))
    for i, key in ipairs(keys) do assert.equal(i, db:get(key)) end
    assert.same(keys, (helper.collect(db:keys())))
    assert.equal(#keys, #db)
  end

  it("can be any string", function()
    keeps({ "", " ", "hello", "nil", "a\0b", "\0", '"\\/\b\f\n\r\t\127' })
    keeps({ "cl\195\169 \240\159\144\141", "\255\254", "\195", "\237\160\128" })
  end)

  it("can be as long as 64 KiB, and no longer", function()
    local longest = ("k"):rep(65536)
    keeps({ longest, ("\255"):rep(65536) })
    local done, message, code = db:set(longest .. "k", 1)
    assert.is_nil(done)
    assert.is_string(message)
    assert.equal("TOO_BIG", code)
    assert.is_nil(select(1, db:get(longest .. "k")))
    assert.equal("TOO_BIG", (select(3, db:get(longest .. "k"))))
  end)

  it("can be any number but NaN", function()
    keeps({ 0, 1, -1, 42, 0.5, -0.5, 1e-7, 2 ^ 31, 2 ^ 53, -2 ^ 53, 1e300, 5e-324, math.huge, -math.huge })
  end)

  it("can be true and false", function()
    keeps({ true, false })
  end)

  it("is not another type's key that looks the same", function()
    keeps({ "1", 1, "true", true, "1.5", 1.5, "false", false, "" })
  end)

  it("is the same as float and as integer, as in a table", function()
    db[1] = "one"
    assert.equal("one", db[1.0])
    db[2 ^ 53] = "large"
    assert.equal("large", db[9007199254740992])
    db[-0.0] = "zero"
    assert.equal("zero", db[0])
    assert.equal(3, #db)
    for key in db:keys() do assert.equal(math.type and "integer" or "number", helper.type_of(key)) end
  end)

  it("can be the name of a metamethod", function()
    keeps({ "__index", "__gc", "__close", "__pairs" })
  end)

  it("that is nil or NaN is never there", function()
    assert.is_nil(db[nil])
    assert.is_nil(db[0 / 0])
    assert.is_nil(db:get(nil))
    assert.is_nil(db:get(0 / 0))
    assert.is_false(db:has(nil))
    assert.is_false(db:delete(0 / 0))
  end)

  it("that is nil or NaN can't be written", function()
    assert.matches("index is nil$", helper.error_of(function() db[nil] = 1 end))
    assert.matches("index is NaN$", helper.error_of(function() db[0 / 0] = 1 end))
    assert.matches("index is nil", helper.error_of(db.set, db, nil, 1))
    assert.matches("index is NaN", helper.error_of(db.set, db, 0 / 0, 1))
    assert.equal(0, #db)
  end)

  it("of another type is refused, for reading and writing", function()
    for _, key in ipairs({ {}, print, io.stdout, coroutine.create(function() end) }) do
      local expected = "a key must be a string, a number or a boolean, not a " .. type(key)
      assert.matches(expected, helper.error_of(function() return db[key] end))
      assert.matches(expected, helper.error_of(function() db[key] = 1 end))
      for _, method in ipairs({ "get", "set", "has", "delete", "ttl", "persist" }) do
        assert.matches(expected, helper.error_of(db[method], db, key, 1))
      end
    end
  end)

  if math.type then
    it("can be any 64-bit integer", function()
      keeps({ math.maxinteger, math.mininteger, math.maxinteger - 1, 9007199254740993, -9007199254740993 })
    end)
  else
    it("beyond the integers of this Lua stops a walk, which can go on", function()
      local store = assert(viperdb.open(helper.copy_of("wide_integers")))
      local step = store:pairs()
      assert.matches("key 9007199254740993: .*integers = \"float\"", helper.error_of(step))
      assert.matches('key "wide": .*integers = "float"', helper.error_of(step))
      assert.matches('key "list": .*integers = "float"', helper.error_of(step))
      assert.equal("after", (step()))
      assert.is_nil(step())
      store:close()
    end)

    it("beyond the integers of this Lua is a float or a string on demand", function()
      local folder = helper.copy_of("wide_integers")
      for option, expected in pairs({ float = 2 ^ 53, string = "9007199254740993" }) do
        local store = assert(viperdb.open(folder, { integers = option }))
        assert.equal(expected, (store:keys()()))
        store:close()
      end
    end)

    it("beyond 2^53 that a double equals is that double", function()
      keeps({ 2 ^ 60, -2 ^ 62 })
    end)
  end
end)
