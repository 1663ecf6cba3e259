-- Walks and stores that are shared, left, dropped and nested: by coroutines, by finalizers, by calls in calls.
local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

local db, path

local function fill(count)
  for i = 1, count do db[i] = i end
end

local function collect_all()
  collectgarbage()
  collectgarbage()
end

-- How many files of the store this process has mapped; how many that a reclaim has replaced.
local function mapped_files()
  local all, replaced = 0, 0
  for line in io.lines("/proc/self/maps") do
    if line:find(path .. "/", 1, true) then
      all = all + 1
      if line:find("(deleted)", 1, true) then replaced = replaced + 1 end
    end
  end
  return all, replaced
end

local function replaced_files()
  return select(2, mapped_files())
end

-- After a reclaim, what was begun before has the files from before to itself.
local function reclaim()
  assert(db:reclaim())
  assert.is_not_nil(db:stats())
end

-- Whether nothing holds a lock: another handle, which waits for none, writes and reclaims.
local function check_free()
  local other = assert(viperdb.open(path, { wait = 0.001 }))
  assert.is_true(other:set("another", true))
  assert.is_true(other:reclaim())
  assert.is_true(other:check())
  other:close()
end

local function begin()
  db, path = helper.store()
end

local function finish()
  check_free()
  db:close()
  db = nil
  collect_all()
  assert.equal(0, (mapped_files()))
  assert.is_nil(io.open(path .. "/.OPEN"))
end

describe("A walk", function()
  before_each(begin)
  after_each(finish)

  it("that two coroutines take steps of gives each key to one of them", function()
    fill(100)
    local step, seen = db:pairs(), {}
    local function take_steps()
      for key, value in step do
        seen[#seen + 1] = { key, value }
        coroutine.yield()
      end
    end
    local threads = { coroutine.create(take_steps), coroutine.create(take_steps), coroutine.create(take_steps) }
    local turns = 0
    while coroutine.status(threads[1]) == "suspended" or coroutine.status(threads[2]) == "suspended" do
      turns = turns + 1
      assert(coroutine.resume(threads[turns % 2 + 1]) or turns > 100)
    end
    assert.equal(100, #seen)
    for i = 1, 100 do assert.same({ i, i }, seen[i]) end
    assert(coroutine.resume(threads[3]))
    assert.equal("dead", coroutine.status(threads[3]))
  end)

  it("goes on where an object could not be read, behind it", function()
    local Fragile = {}
    local whole = true
    viperdb.register("coroutines_spec.Fragile", Fragile, {
      dump = function(object) return object.n end,
      load = function(n)
        if not whole then error("fragile " .. n, 0) end
        return n
      end,
    })
    for i = 1, 5 do db[i] = setmetatable({ n = i }, Fragile) end
    whole = false
    local step = db:pairs()
    for i = 1, 3 do assert.equal("fragile " .. i, helper.error_of(step)) end
    whole = true
    assert.same({ 4, 4 }, { step() })
    assert.same({ 5, 5 }, { step() })
    assert.is_nil(step())
    assert.equal(1, db[1])
  end)

  it("may take a step while it takes one", function()
    local Nested = {}
    local step, inner, wide = nil, {}, ("wide "):rep(1000)
    viperdb.register("coroutines_spec.Nested", Nested, {
      dump = function() return wide end,
      load = function(text)
        local key = step and step()
        inner[#inner + 1] = key or "end"
        return text
      end,
    })
    for i = 1, 4 do db[i] = setmetatable({}, Nested) end
    step = db:pairs()
    assert.same({ 1, wide }, { step() })
    assert.same({ "end", 4, 3, 2 }, inner)
    step = nil
  end)

  it("that is left in a loop that runs often is collected all the same", function()
    fill(200)
    local function walk_to(limit)
      local sum = 0
      for key, value in db:pairs() do
        sum = sum + value
        if key == limit then return sum end
      end
    end
    for _ = 1, 200 do assert.equal(150 * 151 / 2, walk_to(150)) end
    reclaim()
    collect_all()
    assert.equal(0, replaced_files())
  end)

  it("that an error ended in a coroutine is collected", function()
    fill(10)
    local thread = coroutine.create(function()
      for key in db:keys() do
        if key == 5 then error("at five", 0) end
      end
    end)
    assert.same({ false, "at five" }, { coroutine.resume(thread) })
    reclaim()
    thread = nil
    collect_all()
    assert.is_nil(thread)
    assert.equal(0, replaced_files())
  end)

  it("may be dropped before and after its store, in any order", function()
    fill(20)
    for seed = 1, 20 do
      local store = assert(viperdb.open(path))
      local things = { store }
      for i = 2, 8 do
        local step = i % 2 == 0 and store:pairs() or store:keys()
        for _ = 1, i * seed % 25 do step() end
        things[i] = step
      end
      things[#things + 1] = store:table()
      if seed % 2 == 0 then store:close() end
      store = nil
      for i = 1, #things do
        table.remove(things, (seed * 7 + i) % #things + 1)
        collectgarbage()
      end
      assert.is_nil(store)
    end
    assert.equal(20, #db)
  end)

  if coroutine.close then -- luacheck: ignore
    it("ends at once when its loop is left or its coroutine closed", function()
      fill(10)
      collectgarbage("stop")
      for key in db:pairs() do
        if key == 5 then break end
      end
      pcall(function()
        for _ in db:pairs() do error() end
      end)
      local thread = coroutine.create(function()
        for _ in db:pairs() do coroutine.yield() end
      end)
      assert(coroutine.resume(thread))
      reclaim()
      local before = replaced_files()
      assert(coroutine.close(thread)) -- luacheck: ignore
      local after = replaced_files()
      collectgarbage("restart")
      assert.is_true(before > 0)
      assert.equal(0, after)
    end)
  end
end)

describe("A store", function()
  before_each(begin)
  after_each(finish)

  it("may be used by many coroutines in turn", function()
    local threads = {}
    for t = 1, 20 do
      threads[t] = coroutine.create(function()
        for i = 1, 10 do
          db[t .. " " .. i] = i
          coroutine.yield()
          db:incr("count")
          assert.equal(i, db:update("last " .. t, function() return i end))
          coroutine.yield()
          local found = 0
          for _, value in db:pairs() do
            if value == i then found = found + 1 end
            if found == 3 then coroutine.yield() end
          end
          assert.is_true(found > 0)
        end
      end)
    end
    local running = #threads
    while running > 0 do
      running = 0
      for _, thread in ipairs(threads) do
        if coroutine.status(thread) == "suspended" then
          assert(coroutine.resume(thread))
          running = running + 1
        end
      end
    end
    assert.equal(200, db.count)
    assert.equal(20 * 10 + 20 + 1, #db)
  end)

  it("may be closed by one coroutine in the middle of the walk of another", function()
    fill(10)
    local walk = coroutine.create(function()
      for _ in db:pairs() do coroutine.yield() end
    end)
    assert(coroutine.resume(walk))
    assert(coroutine.resume(coroutine.create(function() return db:close() end)))
    local running, message = coroutine.resume(walk)
    assert.is_false(running)
    assert.matches("closed store", message)
    db = assert(viperdb.open(path))
    assert.equal(10, #db)
  end)

  it("gives up a reclaim that was begun when it is collected", function()
    db:transaction(function(tx)
      for i = 1, 20000 do tx[i] = i end
    end)
    local other = assert(viperdb.open(path))
    assert.is_true(other:reclaim({ budget = 1e-6 }))
    assert.equal("BUSY", select(3, db:reclaim()))
    assert.is_not_nil(io.open(path .. "/db.klog.new"))
    other = nil
    collect_all()
    assert.is_nil(other)
    assert.is_nil(io.open(path .. "/db.klog.new"))
    assert.is_true(db:reclaim())
  end)

  it("gives up a reclaim that was begun when its progress function raises", function()
    local problem, caught = {}, nil
    for i = 1, 20 do
      db:transaction(function(tx)
        for n = 1, 20000 * i do tx[n] = n end
      end)
      assert.is_true(db:reclaim({ budget = 1e-6 }))
      local done
      done, caught = pcall(db.reclaim, db, { progress = function() error(problem) end })
      if not done then break end
    end
    assert.equal(problem, caught)
    assert.is_nil(io.open(path .. "/db.klog.new"))
    local other = assert(viperdb.open(path))
    assert.is_true(other:reclaim())
    assert.is_true(#other >= 20000)
    other:close()
  end)
end)

describe("Calls in calls", function()
  before_each(begin)
  after_each(finish)

  -- Runs the call in itself until Lua or the store has enough of it. Each level writes its own key.
  local function nest(call, each)
    local depth = 0
    local function inner()
      depth = depth + 1
      local level = depth
      if depth < 1e5 then each(call, level, inner) end
      return level
    end
    return depth, helper.error_of(inner)
  end

  it("of db:update are an error when they get too deep, and nothing of them is written", function()
    local _, message = nest(db.update, function(call, level, inner) assert(call(db, level, inner)) end)
    assert.matches("overflow", message)
    assert.equal(0, #db)
  end)

  it("of db:update that catch the error write what they return", function()
    local deepest = 0
    nest(db.update, function(call, level, inner)
      deepest = level
      pcall(call, db, level, inner)
    end)
    assert.is_true(deepest > 10)
    assert.is_true(#db > 0 and #db < deepest)
    for level = 1, #db do assert.equal(level + 1, db[level]) end
  end)

  it("of transactions on as many handles are written, the innermost first", function()
    local handles = {}
    local function inner(tx)
      local level = #handles + 1
      handles[level] = assert(viperdb.open(path))
      tx[level] = true
      if level < 30 then assert(handles[level]:transaction(inner)) end
      if level % 10 == 0 then collectgarbage() end
    end
    assert(db:transaction(inner))
    local keys = helper.collect(db:keys())
    for i = 1, 30 do assert.equal(31 - i, keys[i]) end
    for _, handle in ipairs(handles) do assert.is_true(handle:close()) end
  end)

  it("of objects in objects are an error when they get too deep", function()
    local Endless = {}
    viperdb.register("coroutines_spec.Endless", Endless, {
      dump = function(object)
        if object.level > 0 then db.inner = setmetatable({ level = object.level + 1 }, Endless) end
        return object.level
      end,
      load = function() return db.outer end,
    })
    local message = helper.error_of(function() db.outer = setmetatable({ level = 1 }, Endless) end)
    assert.matches("overflow", message)
    assert.equal(0, #db)
    for _, depth in ipairs({ 0, 20, 60 }) do
      local value = setmetatable({ level = 0 }, Endless)
      for _ = 1, depth do value = { value } end
      db.outer = value
      assert.matches("overflow", helper.error_of(function() return db.outer end))
    end
    db.outer = 1
    assert.equal(1, db.outer)
  end)
end)

describe("A finalizer that raises", function()
  before_each(begin)
  after_each(finish)

  -- Some Luas raise the error where the collector happens to run, others don't. It runs inside the calls only.
  it("does no harm, wherever it runs", function()
    local wide = { list = { 1, 2, { name = ("wide "):rep(200) } }, [0.5] = "mixed" }
    local raising
    local function finalizer()
      if raising then error("from a finalizer", 0) end
    end
    local function call_all(i)
      raising = true
      if i % 3 == 1 then helper.call_when_collected(finalizer) end
      collectgarbage("restart")
      db.n = i
      db.wide = wide
      wide.copy = { db.wide }
      wide.copy = nil
      db:incr("count")
      db:update("updated", function(old) return { old and old[1] or 0, i } end)
      db:transaction(function(tx) tx.a, tx.b = i, i end)
      for _, value in db:pairs() do wide.list[4] = value end
      wide.list[4] = i
      db:cas("wide", wide, wide)
      db:check()
    end
    local raised = 0
    collectgarbage("stop")
    if jit then -- LuaJIT's machine code does not survive errors of finalizers
      jit.off()
      jit.flush()
    end
    for i = 1, 600 do
      local done, message = pcall(call_all, i)
      raising = false
      collectgarbage("stop")
      if not done then
        raised = raised + 1
        assert.matches("from a finalizer", tostring(message), 1, true)
      end
      assert.equal(db.a, db.b)
      assert.same(wide.list[3], db.wide.list[3])
    end
    if jit then jit.on() end
    collectgarbage("restart")
    assert.is_true(db:check())
    assert.is_true(db.count > 100)
    if _VERSION < "Lua 5.4" then assert.is_true(raised > 0) end
  end)
end)
