local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

describe("A closed handle", function()
  local db, view, step

  before_each(function()
    db = helper.store()
    db.hello = "ViperDB!"
    view = db:table()
    step = db:pairs()
    assert.is_true(db:close())
  end)

  it("can be closed again", function()
    assert.is_true(db:close())
    assert.is_true(db:close())
  end)

  it("raises when it is indexed", function()
    local expected = "attempt to use a closed store$"
    assert.matches(expected, helper.error_of(function() return db.hello end))
    assert.matches(expected, helper.error_of(function() db.hello = 1 end))
    assert.matches(expected, helper.error_of(function() db.hello = nil end))
    assert.matches(expected, helper.error_of(function() return #db end))
    assert.matches(expected, helper.error_of(function() return view.hello end))
    assert.matches(expected, helper.error_of(function() view.hello = 1 end))
    assert.matches(expected, helper.error_of(function() return #view end))
  end)

  it("is the error CLOSED of every call", function()
    local calls = {
      get = {}, has = {}, delete = {}, ttl = {}, persist = {},
      set = { 1 }, set_with_expiration = { 1, 1e15 }, expire = { 1 },
    }
    for name, rest in pairs(calls) do
      local results = { db[name](db, "hello", rest[1], rest[2]) }
      assert.is_nil(results[1])
      assert.equal("attempt to use a closed store", results[2])
      assert.equal("CLOSED", results[3])
    end
    for _, name in ipairs({ "reclaim", "sync", "stats", "check" }) do
      local result, _, code = db[name](db)
      assert.is_nil(result)
      assert.equal("CLOSED", code)
    end
  end)

  it("raises in walks, the begun and the new ones", function()
    assert.matches("closed store", helper.error_of(step))
    assert.matches("closed store", helper.error_of(db.pairs, db))
    assert.matches("closed store", helper.error_of(db.keys, db))
  end)

  it("says so as a string", function()
    assert.matches("^viperdb store: .* %(closed%)$", tostring(db))
    assert.matches("^viperdb table: .* %(closed%)$", tostring(view))
  end)

  it("leaves other handles of the store alone", function()
    local one, path = helper.store()
    local other = assert(viperdb.open(path))
    one:close()
    other.hello = "still here"
    assert.equal("still here", other.hello)
    other:close()
  end)
end)

describe("A handle", function()
  it("names its path as a string", function()
    local db, path = helper.store()
    assert.equal("viperdb store: " .. path, tostring(db))
    assert.equal("viperdb table: " .. path, tostring(db:table()))
    db:close()
  end)

  it("is closed when it is collected", function()
    local function forget_store()
      local db, path = helper.store()
      db.hello = "ViperDB!"
      return path
    end
    local path = forget_store()
    collectgarbage()
    collectgarbage()
    assert.is_nil(io.open(path .. "/.OPEN"))
    local db = assert(viperdb.open(path))
    assert.equal("ViperDB!", db.hello)
    db:close()
  end)

  it("is closed at the end of a program that forgets it", function()
    local path = helper.path()
    helper.run([[db = viperdb.open(arg[1]) db.hello = "ViperDB!"]], path)
    assert.is_nil(io.open(path .. "/.OPEN"))
    local db = assert(viperdb.open(path))
    assert.equal("ViperDB!", db.hello)
    db:close()
  end)

  it("lives as long as a view or a walk of it", function()
    local function view_and_step()
      local db = helper.store()
      db.hello = "ViperDB!"
      return db:table(), db:pairs()
    end
    local view, step = view_and_step()
    collectgarbage()
    collectgarbage()
    assert.equal("ViperDB!", view.hello)
    assert.same({ "hello", "ViperDB!" }, { step() })
  end)

  if _VERSION == "Lua 5.4" then
    it("is closed at the end of its <close> variable", function()
      local path = helper.path()
      local seen = assert(load([[
        local viperdb, path = ...
        local seen
        do
          local db <close> = assert(viperdb.open(path))
          db.hello = "ViperDB!"
          seen = db
        end
        return seen
      ]]))(viperdb, path)
      assert.matches("closed", tostring(seen))
      assert.is_nil(io.open(path .. "/.OPEN"))
    end)

    it("is closed by an error, which stays the error", function()
      local path = helper.path()
      local message = helper.error_of(assert(load([[
        local viperdb, path = ...
        local db <close> = assert(viperdb.open(path))
        error("on the way", 0)
      ]])), viperdb, path)
      assert.equal("on the way", message)
      assert.is_nil(io.open(path .. "/.OPEN"))
    end)
  end

  it("may be used and closed by finalizers at any time", function()
    local db = helper.store()
    local calls = 0
    local function disturb()
      calls = calls + 1
      db["disturbed " .. calls % 10] = ("%d,"):format(calls):rep(2000)
      assert(db["disturbed " .. calls % 10]:match("^%d+") == tostring(calls))
      db.list = { { calls } }
    end
    local text = ("some text "):rep(300)
    for i = 1, 500 do
      helper.call_when_collected(disturb)
      db.tree = { i, { text .. i, { i } }, { name = text, number = i } }
      db.text = text .. i
      assert.equal(text .. i, db.text)
      assert.equal(text .. i, db.tree[2][1])
      assert.equal(i, db.tree[3].number)
      for key, value in db:pairs() do
        if key == "text" then assert.equal(text .. i, value) end
      end
      if i % 10 == 0 then collectgarbage("step", 200) end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(500, calls)
    helper.call_when_collected(function() db:close() end)
    collectgarbage()
    collectgarbage()
    assert.matches("closed", tostring(db))
  end)

  it("may be closed by a finalizer in the middle of a call", function()
    local tables = {}
    for i = 1, 100 do tables[i] = { i } end
    for _, method in ipairs({ "set", "get" }) do
      local db = helper.store()
      assert(db:set("tables", tables))
      collectgarbage()
      collectgarbage()
      helper.call_when_collected(function() db:close() end)
      local code
      repeat
        local _
        _, _, code = db[method](db, "tables", tables)
      until code
      assert.equal("CLOSED", code)
    end
  end)
end)

describe("A view", function()
  local db, view

  before_each(function()
    db = helper.store()
    view = db:table()
  end)

  after_each(function()
    db:close()
  end)

  it("is the same store", function()
    db.hello = "ViperDB!"
    assert.equal("ViperDB!", view.hello)
    view.hello = "again"
    assert.equal("again", db.hello)
    view.hello = nil
    assert.is_nil(db.hello)
  end)

  it("has keys in place of methods", function()
    assert.is_nil(view.get)
    for _, name in ipairs({ "get", "set", "close", "table", "cas", "__index" }) do
      view[name] = name
      assert.equal(name, view[name])
      assert.equal(name, db:get(name))
    end
    assert.equal(6, #view)
  end)

  it("treats keys as the store does", function()
    assert.is_nil(view[nil])
    assert.matches("index is nil", helper.error_of(function() view[nil] = 1 end))
    assert.matches("not a table", helper.error_of(function() return view[{}] end))
  end)

  it("is no table of another metatable", function()
    local disguised = setmetatable({}, getmetatable(view))
    assert.matches("viperdb table expected, got table", helper.error_of(function() return disguised.key end))
    assert.matches("viperdb table expected", helper.error_of(getmetatable(view).__index, db, "key"))
  end)

  if _VERSION ~= "Lua 5.1" then
    it("is walked by pairs", function()
      view.pairs = 1
      view.two = 2
      assert.same({ "pairs", "two" }, (helper.collect(pairs(view))))
    end)
  end
end)
