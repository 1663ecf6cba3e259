local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

-- The call fails with this code and a message, which is returned.
local function fails(code, ...)
  local result, message, got = ...
  assert.is_nil(result)
  assert.is_string(message)
  assert.equal(code, got)
  return message
end

describe("A wrong argument raises", function()
  local db

  setup(function()
    db = helper.store()
  end)

  teardown(function()
    db:close()
  end)

  local function raises(expected, f, ...)
    assert.matches(expected, helper.error_of(f, ...))
  end

  it("in viperdb.open", function()
    local path = helper.path()
    raises("string expected", viperdb.open)
    raises("string expected", viperdb.open, {})
    raises("zero byte", viperdb.open, "a\0b")
    raises("table expected", viperdb.open, path, "readonly")
    raises("unknown option 'read_only'", viperdb.open, path, { read_only = true })
    raises("names of options are strings", viperdb.open, path, { "readonly" })
    for _, sync in ipairs({ "never", 0, -1, math.huge, 0 / 0, "1", false }) do
      raises("'sync' must be", viperdb.open, path, { sync = sync })
    end
    raises("'wait' must be", viperdb.open, path, { wait = 0 })
    raises("'readonly' must be", viperdb.open, path, { readonly = "yes" })
    raises("'functions' must be", viperdb.open, path, { functions = 1 })
    raises("'integers' must be", viperdb.open, path, { integers = "double" })
    raises("'reclaim' must be", viperdb.open, path, { reclaim = "often" })
    assert.is_nil(io.open(path .. "/db.klog"))
  end)

  it("in the options of db:set", function()
    raises("table expected", db.set, db, "key", 1, 60)
    raises("unknown option 'TTL'", db.set, db, "key", 1, { TTL = 1 })
    raises("'ttl' must be a number of seconds", db.set, db, "key", 1, { ttl = "1" })
    raises("'ttl' must be a number of seconds", db.set, db, "key", 1, { ttl = 0 / 0 })
    raises("'expiration' must be a number of milliseconds", db.set, db, "key", 1, { expiration = {} })
    raises("either 'ttl' or 'expiration'", db.set, db, "key", 1, { ttl = 1, expiration = 1 })
    assert.is_false(db:has("key"))
  end)

  it("in times", function()
    raises("number expected", db.expire, db, "key")
    raises("NaN is not a time", db.expire, db, "key", 0 / 0)
    raises("number expected", db.set_with_expiration, db, "key", 1)
    raises("NaN is not a time", db.set_with_expiration, db, "key", 1, 0 / 0)
  end)

  it("when it is missing", function()
    raises("value expected", db.get, db)
    raises("value expected", db.set, db, "key")
    raises("value expected", db.set_with_expiration, db, "key")
    raises("string expected", viperdb.repair, "from")
  end)

  it("in the options of db:check and viperdb.repair", function()
    raises("'progress' must be a function", db.check, db, { progress = true })
    raises("unknown option 'verbose'", db.check, db, { verbose = true })
    raises("unknown option 'verbose'", viperdb.repair, "from", "to", { verbose = true })
  end)

  it("in place of the store, be it disguised", function()
    raises("store expected, got string", db.get, "key")
    raises("store expected, got no value", db.get)
    raises("store expected, got table", db.get, setmetatable({}, getmetatable(db)), "key")
    raises("store expected", db.get, db:table(), "key")
    raises("store expected, got userdata", db.get, io.stdout, "key")
    raises("store expected", db.get, viperdb.null, "key")
    raises("store expected", function() return setmetatable({}, getmetatable(db)).key end)
  end)

  it("but not in the collector", function()
    assert.is_nil(helper.error_of(getmetatable(db).__gc, {}))
    assert.is_nil(helper.error_of(getmetatable(db).__gc, io.stdout))
    assert.is_false(db:has("key"))
  end)
end)

describe("A name of a method", function()
  local db
  local later = { "range", "prefix", "snapshot", "history", "at", "changes", "backup", "live" }

  before_each(function()
    db = helper.store()
  end)

  after_each(function()
    db:close()
  end)

  it("is not assigned to, and the error names db:set", function()
    local message = helper.error_of(function() db.get = 1 end)
    assert.matches("'get' is a method's name", message)
    assert.matches('db:set%("get", value%)', message)
    for _, name in ipairs({ "set", "close", "pairs", "table" }) do
      assert.matches("db:set", helper.error_of(function() db[name] = 1 end))
    end
    assert.equal(0, #db)
  end)

  it("is a key for db:get, db:set, db:has and db:delete", function()
    assert.is_true(db:set("get", "value of get"))
    assert.equal("function", type(db.get))
    assert.equal("value of get", db:get("get"))
    assert.is_true(db:has("get"))
    assert.is_true(db:delete("get"))
    assert.is_nil(db:get("get"))
  end)

  it("that is to come is kept free", function()
    for _, name in ipairs(later) do
      assert.matches("db:set", helper.error_of(function() db[name] = 1 end))
      assert.is_nil(db[name])
      assert.is_true(db:set(name, "stored"))
      assert.is_nil(db[name])
      assert.equal("stored", db:get(name))
    end
  end)
end)

describe("A value that can't be stored", function()
  local db

  before_each(function()
    db = helper.store()
    db.key = "as it was"
  end)

  after_each(function()
    assert.equal("as it was", db.key)
    assert.equal(1, #db)
    db:close()
  end)

  it("is the error TYPE of a call", function()
    for _, value in ipairs({ print, coroutine.create(function() end), io.stdout, function() end }) do
      assert.matches(type(value), fails("TYPE", db:set("key", value)))
      fails("TYPE", db:set("key", { inside = value }))
      fails("TYPE", db:set_with_expiration("key", value, 1e15))
    end
  end)

  it("raises when it is assigned", function()
    for _, value in ipairs({ print, coroutine.create(function() end), io.stdout }) do
      assert.matches(type(value), helper.error_of(function() db.key = value end))
      assert.matches(type(value), helper.error_of(function() db:table().key = value end))
    end
  end)

  it("is not stored in part", function()
    fails("TYPE", db:set("key", { 1, 2, 3, print }))
    fails("TYPE", db:set("other", { 1, 2, 3, print }))
    assert.is_nil(db.other)
  end)

  it("is one nested deeper than 128 tables", function()
    local deep = {}
    for _ = 1, 127 do deep = { deep } end
    assert.is_true(db:set("deep", deep))
    fails("TOO_BIG", db:set("deep", { deep }))
    assert.same(deep, db.deep)
    db.deep = nil
  end)
end)

describe("A value that can't be read", function()
  local db

  before_each(function()
    db = assert(viperdb.open(helper.copy_of("unreadable_values")))
  end)

  after_each(function()
    db:close()
  end)

  it("is the error UNSUPPORTED when it is a Python pickle", function()
    assert.matches("pickle", fails("UNSUPPORTED", db:get("pickled")))
    assert.matches("pickle", helper.error_of(function() return db.pickled end))
  end)

  it("is the error UNSUPPORTED when it is a dump of a later version", function()
    fails("UNSUPPORTED", db:get("dump of a later version"))
  end)

  it("is the error CORRUPT when it is no JSON", function()
    assert.matches("JSON", fails("CORRUPT", db:get("not JSON")))
  end)

  it("is there all the same", function()
    assert.is_true(db:has("pickled"))
    assert.equal(math.huge, db:ttl("pickled"))
    assert.equal(4, #db)
  end)

  it("outlives a reclaim", function()
    assert.is_true(db:reclaim())
    assert.matches("pickle", fails("UNSUPPORTED", db:get("pickled")))
    assert.equal(4, #db)
  end)

  it("stops a walk over values, which can go on behind it", function()
    local step = db:pairs()
    assert.matches('key "pickled": .*pickle', helper.error_of(step))
    assert.matches('key "dump of a later version": ', helper.error_of(step))
    assert.matches('key "not JSON": .*JSON', helper.error_of(step))
    assert.same({ "after", 1 }, { step() })
    assert.is_nil(step())
  end)

  it("doesn't stop a walk over keys", function()
    local keys = helper.collect(db:keys())
    assert.same({ "pickled", "dump of a later version", "not JSON", "after" }, keys)
  end)

  it("can be replaced and deleted", function()
    db.pickled = "fresh"
    assert.equal("fresh", db.pickled)
    assert.is_true(db:delete("not JSON"))
    assert.is_nil(db["not JSON"])
  end)

  if not math.type then
    it("is the error RANGE when it is an integer that this Lua can't hold", function()
      local store = assert(viperdb.open(helper.copy_of("wide_integers")))
      fails("RANGE", store:get("wide"))
      fails("RANGE", store:get("list"))
      store:close()
    end)

    it("is a float or a string where that was asked for", function()
      local folder = helper.copy_of("wide_integers")
      for option, expected in pairs({ float = 2 ^ 53, string = "9007199254740993" }) do
        local store = assert(viperdb.open(folder, { integers = option }))
        assert.equal(expected, store.wide)
        assert.same({ 1, expected }, store.list)
        store:close()
      end
    end)
  end
end)

describe("A folder that can't be a store", function()
  it("is the error of viperdb.open that names it", function()
    local message = select(2, viperdb.open(helper.path() .. "/missing/store"))
    assert.matches("missing/store", message)
    local file = helper.path()
    helper.write_file(file, "not a folder")
    assert.is_nil((viperdb.open(file)))
    assert.is_string((select(3, viperdb.open(file))))
  end)
end)
