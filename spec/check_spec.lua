local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

-- A store of ten keys in which the value of "key 5" is damaged.
local function damaged_store()
  local db, path = helper.store()
  for i = 1, 10 do db["key " .. i] = "the value of key " .. i end
  db:close()
  local values = helper.read_file(path .. "/db.vlog")
  helper.write_file(path .. "/db.vlog", (values:gsub("key 5", "KEY 5")))
  return assert(viperdb.open(path)), path
end

describe("db:check", function()
  it("is true for a sound store", function()
    local db = helper.store()
    assert.is_true(db:check())
    for i = 1, 100 do db[i] = { i } end
    db[1] = nil
    assert.is_true(db:check())
    db:close()
  end)

  it("counts and lists what is damaged", function()
    local db = damaged_store()
    local count, list = db:check()
    assert.equal(1, count)
    assert.equal(1, #list)
    assert.is_string(list[1])
    db:close()
  end)

  it("reports its progress and every problem", function()
    local db = damaged_store()
    local last_done, last_total, problems = 0, nil, {}
    local count = db:check({
      progress = function(done, total, problem)
        last_done, last_total = done, total
        problems[#problems + 1] = problem
      end,
    })
    assert.equal(1, count)
    assert.equal(1, #problems)
    assert.is_true(last_done <= last_total)
    assert.equal(db:stats().key_log_bytes, last_total)
    db:close()
  end)

  it("is stopped by a progress function that returns false", function()
    local db = damaged_store()
    local result, message, code = db:check({ progress = function() return false end })
    assert.is_nil(result)
    assert.is_string(message)
    assert.equal("CONFLICT", code)
    assert.equal("the value of key 1", db["key 1"])
    db:close()
  end)

  it("raises what a progress function raises, and the store can be used then", function()
    local db = damaged_store()
    local thrown = {}
    local done, caught = pcall(db.check, db, { progress = function() error(thrown) end })
    assert.is_false(done)
    assert.equal(thrown, caught)
    assert.equal("the value of key 1", db["key 1"])
    assert.is_true(db:close())
  end)

  it("keeps the store to itself", function()
    local db, path = damaged_store()
    local view, step, codes = db:table(), db:pairs(), {}
    local count = db:check({
      progress = function()
        codes[select(3, db:get("key 1"))] = true
        codes[select(3, db:set("key 1", 2))] = true
        codes[select(3, db:close())] = true
        codes[select(3, db:check())] = true
        assert.is_string(helper.error_of(function() return view["key 1"] end))
        assert.is_string(helper.error_of(function() return #db end))
        assert.is_string(helper.error_of(step))
        local other = assert(viperdb.open(path))
        assert.equal("the value of key 1", other["key 1"])
        other:close()
      end,
    })
    assert.equal(1, count)
    assert.same({ BUSY = true }, codes)
    db:close()
  end)
end)

describe("A damaged value", function()
  it("is the error CORRUPT, never nil and never another value", function()
    local db = damaged_store()
    local value, message, code = db:get("key 5")
    assert.is_nil(value)
    assert.is_string(message)
    assert.equal("CORRUPT", code)
    assert.is_string(helper.error_of(function() return db["key 5"] end))
    db:close()
  end)

  it("doesn't hide the others", function()
    local db = damaged_store()
    for i = 1, 10 do
      if i ~= 5 then assert.equal("the value of key " .. i, db["key " .. i]) end
    end
    db:close()
  end)

  it("stops a walk, which can go on behind it", function()
    local db = damaged_store()
    local step, seen, failed = db:pairs(), 0, 0
    for _ = 1, 10 do
      if helper.error_of(function() assert(step()) end) then failed = failed + 1 else seen = seen + 1 end
    end
    assert.is_nil(step())
    assert.equal(1, failed)
    assert.equal(9, seen)
    db:close()
  end)

  it("can be replaced", function()
    local db = damaged_store()
    db["key 5"] = "sound"
    assert.equal("sound", db["key 5"])
    db:close()
  end)
end)

describe("viperdb.repair", function()
  it("writes what is good to another folder", function()
    local db, path = damaged_store()
    db:close()
    local target = helper.path()
    local count, list = viperdb.repair(path, target)
    assert.equal(1, count)
    assert.is_string(list[1])
    local repaired = assert(viperdb.open(target))
    assert.is_true(repaired:check())
    assert.equal(9, #repaired)
    assert.is_nil(repaired["key 5"])
    assert.equal("the value of key 6", repaired["key 6"])
    repaired:close()
  end)

  it("is true for a sound store, of which it makes a copy", function()
    local db, path = helper.store()
    db.hello = "ViperDB!"
    db:close()
    local target = helper.path()
    assert.is_true(viperdb.repair(path, target))
    local copy = assert(viperdb.open(target))
    assert.equal("ViperDB!", copy.hello)
    copy:close()
  end)

  it("raises what its progress function raises", function()
    local db, path = damaged_store()
    db:close()
    local message = helper.error_of(viperdb.repair, path, helper.path(), {
      progress = function() error("enough", 0) end,
    })
    assert.equal("enough", message)
  end)
end)
