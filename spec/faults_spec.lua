-- What Lua code may do while a call on the store runs it: raise, yield, close, collect, use the same store.
--
-- Whatever it does, the store is none the worse: every write that returned is there, no lock is held, and no file
-- stays open when the handles are closed.
local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

local no_wait = 0.001 -- seconds: enough for a lock that is free, and for no other

local db, path
local kept -- key -> value, of the writes that returned

-- Objects of this class call a deed when they are stored and when they are read.
local Box = {}
local in_dump, in_load

local function nothing() end

viperdb.register("faults_spec.Box", Box, {
  dump = function(box)
    in_dump()
    return box.content
  end,
  load = function(content)
    in_load()
    return setmetatable({ content = content }, Box)
  end,
})

local function new_box(content)
  return setmetatable({ content = content }, Box)
end

local function keep(key, value)
  assert(db:set(key, value))
  kept[key] = value
end

local function begin()
  in_dump, in_load, kept = nothing, nothing, {}
  db, path = helper.store()
  for i = 1, 5 do keep("key " .. i, i) end
  db.box = new_box("content")
end

-- The lines of this process's map that name a file of the store; only those of replaced files, when so asked.
local function mapped_files(replaced)
  local count = 0
  for line in io.lines("/proc/self/maps") do
    local ours = line:find(path .. "/", 1, true)
    if ours and (not replaced or line:find("(deleted)", 1, true)) then count = count + 1 end
  end
  return count
end

local function collect_all()
  collectgarbage()
  collectgarbage()
end

-- Another handle, which doesn't wait for locks, writes at once and finds every write that returned.
local function check_others()
  local other = assert(viperdb.open(path, { wait = no_wait }))
  assert.is_true(other:set("another", 1))
  assert.equal(2, other:incr("another"))
  assert.is_true(other:transaction(function(tx) tx.another = tx.another + 1 end))
  assert.is_true(other:reclaim())
  assert.is_true(other:check())
  for key, value in pairs(kept) do assert.equal(value, other:get(key)) end
  assert.equal("content", other.box.content)
  assert.is_true(other:close())
end

-- The last one to close takes the mark away: nobody else has the store open, and nothing of it is mapped.
local function finish()
  in_dump, in_load = nothing, nothing
  check_others()
  db:close()
  db = nil
  collect_all()
  assert.is_nil(io.open(path .. "/.OPEN"))
  assert.equal(0, mapped_files())
end

-- Enough lines for db:check and viperdb.repair to report their progress.
local function fill()
  assert(db:transaction(function(tx)
    for i = 1, 12000 do tx[i] = i end
  end))
end

-- A reclaim reports every hundredth of a second, and may be done before: then it is done again.
local function reclaim_with(progress)
  local reported = false
  local options = {
    progress = function()
      reported = true
      progress()
    end,
  }
  for _ = 1, 50 do
    fill()
    local done, message, code = db:reclaim(options)
    if reported then return done, message, code end
  end
end

local function repair_with(progress)
  fill()
  return viperdb.repair(path, helper.path(), { progress = progress })
end

-- Where a call runs Lua code: `call` makes the call and has the deed done there, and returns what the call does.
-- When the deed closes the store, the call is the error CLOSED, or `raises`, or `returns` as if nothing had happened.
-- In the body of a loop one may yield, elsewhere not; in a `reporting` function the store can't be used.
local places = {
  {
    name = "the body of a loop over pairs", is_body = true, raises = true,
    call = function(deed)
      for _, value in db:pairs() do deed(value) end
      return true
    end,
  },
  {
    name = "the body of a loop over keys", is_body = true, raises = true,
    call = function(deed)
      for key in db:keys() do deed(key) end
      return true
    end,
  },
  {
    name = "the body of a loop in a loop", is_body = true, raises = true,
    call = function(deed)
      for outer in db:keys() do
        for inner in db:keys() do
          if inner ~= outer then deed(inner) end
        end
      end
      return true
    end,
  },
  {
    name = "the load function of an object that a loop meets", raises = true,
    call = function(deed)
      in_load = deed
      for _ in db:pairs() do nothing() end
      for _ in db:pairs() do nothing() end
      return true
    end,
  },
  {
    name = "the load function of an object that is read", returns = true,
    call = function(deed)
      db.list = { new_box("first"), { new_box("second") }, ("tail"):rep(5), [0.5] = { new_box("third") } }
      in_load = deed
      local list, message, code = db:get("list")
      if not list then return list, message, code end
      assert.same({ new_box("first"), { new_box("second") }, ("tail"):rep(5), [0.5] = { new_box("third") } }, list)
      return true
    end,
  },
  {
    name = "the dump function of an object that is written",
    call = function(deed)
      in_dump = deed
      return db:set("other", { 1, new_box("other") })
    end,
  },
  {
    name = "the dump function of an object that is assigned", raises = true,
    call = function(deed)
      in_dump = deed
      db.other = { 1, new_box("other") }
      return true
    end,
  },
  {
    name = "the dump function of an object that is added",
    call = function(deed)
      in_dump = deed
      return db:add("other", { 1, new_box("other") })
    end,
  },
  {
    name = "the dump function of an object that is compared",
    call = function(deed)
      in_dump = deed
      return db:cas("box", new_box("content"), new_box("content"))
    end,
  },
  {
    name = "the load function of an object that is compared", returns = true,
    call = function(deed)
      in_load = deed
      return not db:cas("box", new_box("other"), new_box("content"))
    end,
  },
  {
    name = "a function of db:update",
    call = function(deed)
      return db:update("other", function(old)
        deed()
        return old or "updated"
      end)
    end,
  },
  {
    name = "the load function of an object that is updated",
    call = function(deed)
      in_load = deed
      return db:update("box", function(box) return box end)
    end,
  },
  {
    name = "the dump function of an object that is updated",
    call = function(deed)
      in_dump = deed
      return db:update("box", function() return new_box("content") end)
    end,
  },
  {
    name = "a transaction", is_transaction = true,
    call = function(deed)
      return db:transaction(function(tx)
        tx.other = tx["key 1"]
        deed()
      end)
    end,
  },
  {
    name = "the dump function of an object that a transaction writes", is_transaction = true,
    call = function(deed)
      in_dump = deed
      return db:transaction(function(tx) tx.other = new_box("other") end)
    end,
  },
  {
    name = "the load function of an object that a transaction reads", is_transaction = true, raises = true,
    call = function(deed)
      in_load = deed
      return db:transaction(function(tx) tx.box = tx.box end)
    end,
  },
  {
    name = "the progress function of db:check", is_reporting = true,
    call = function(deed)
      fill()
      return db:check({ progress = deed })
    end,
  },
  { name = "the progress function of db:reclaim", is_reporting = true, call = reclaim_with },
  { name = "the progress function of viperdb.repair", returns = true, call = repair_with },
}

-- Makes the call, with the deed done once. That it was done is asserted, so that no test is about nothing.
local function call_with(place, deed)
  local done = false
  local results = { pcall(place.call, function(...)
    if done then return end
    done = true
    deed(...)
  end) }
  assert.is_true(done)
  return (table.unpack or unpack)(results, 1, 4) -- luacheck: ignore
end

local function succeeds(place, deed)
  local returned, result, message = call_with(place, deed)
  assert.is_true(returned, result)
  assert.is_truthy(result, message)
end

-- In a reporting function every call on its store is the error BUSY.
local function is_done(place, result, message, code)
  if place.is_reporting then
    assert.is_nil(result)
    assert.equal("BUSY", code)
  else
    assert.is_truthy(result, message)
  end
end

for _, place in ipairs(places) do
  describe("In " .. place.name, function()
    before_each(begin)
    after_each(finish)

    it("an error is the error of the call", function()
      local problem = { "problem" }
      local returned, caught = call_with(place, function() error(problem) end)
      assert.is_false(returned)
      assert.equal(problem, caught)
      assert.equal(1, db["key 1"])
      keep("key 1", "written after the error")
    end)

    it("an error may be caught", function()
      succeeds(place, function()
        assert.is_false(pcall(error))
        assert.is_false(pcall(db.get, db))
        assert.is_false(pcall(viperdb.open))
        assert.is_false(pcall(coroutine.wrap(function() error(nil) end)))
      end)
    end)

    if place.is_body then
      it("a coroutine may yield, while others write and reclaim", function()
        local other = assert(viperdb.open(path))
        local thread = coroutine.create(function() return place.call(coroutine.yield) end)
        local yields = 0
        repeat
          local running, result = coroutine.resume(thread)
          assert.is_true(running, result)
          yields = yields + 1
          other["key " .. yields % 5 + 1] = yields
          kept["key " .. yields % 5 + 1] = yields
          if yields % 3 == 1 then assert(other:reclaim()) end
        until coroutine.status(thread) == "dead"
        assert.is_true(yields > 5)
        other:close()
      end)

      it("a coroutine may be left for ever, and the collector takes its walk", function()
        local thread = coroutine.create(function() return place.call(coroutine.yield) end)
        assert.is_true(coroutine.resume(thread))
        assert.is_true(db:reclaim())
        keep("key 1", "written after the walk began")
        assert.is_true(mapped_files("replaced") > 0)
        thread = nil
        collect_all()
        assert.is_nil(thread)
        assert.equal(0, mapped_files("replaced"))
        assert.equal("written after the walk began", db["key 1"])
      end)
    else
      it("a coroutine can't yield: that is an error", function()
        local thread = coroutine.create(function() return call_with(place, coroutine.yield) end)
        local running, returned, message = coroutine.resume(thread)
        assert.is_true(running)
        assert.is_false(returned)
        assert.matches("attempt to yield", message)
        assert.equal("dead", coroutine.status(thread))
        assert.equal(1, db["key 1"])
      end)
    end

    it("a coroutine of its own may yield", function()
      succeeds(place, function()
        local step = coroutine.wrap(function()
          for i = 1, 3 do coroutine.yield(i) end
        end)
        for i = 1, 3 do assert.equal(i, step()) end
      end)
    end)

    it("the store may be closed" .. (place.is_reporting and ", but not by this handle" or ""), function()
      local returned, result, message, code = call_with(place, function()
        local other = assert(viperdb.open(path, { wait = no_wait }))
        is_done(place, db:close())
        is_done(place, db:close())
        other.other = "written after the close"
        other:close()
      end)
      if place.is_reporting or place.returns then
        assert.is_true(returned, result)
        assert.is_truthy(result, message)
      elseif place.raises then
        assert.is_false(returned)
        assert.matches("closed store", result)
      else
        assert.is_true(returned, result)
        assert.is_nil(result)
        assert.equal("CLOSED", code)
      end
      kept.other = "written after the close"
      assert.equal(place.is_reporting, not tostring(db):find("closed") or nil)
    end)

    it("everything may be collected", function()
      succeeds(place, function()
        local forgotten = assert(viperdb.open(path))
        forgotten:pairs()()
        coroutine.wrap(function()
          for _ in forgotten:pairs() do coroutine.yield() end
        end)()
        forgotten = nil
        collect_all()
        assert.is_nil(forgotten)
      end)
    end)

    it("the same handle may " .. (place.is_reporting and "not be used: it is BUSY" or "read and write"), function()
      succeeds(place, function()
        is_done(place, db:set("set", 1))
        is_done(place, db:update("updated", function() return ("wide"):rep(1000) end))
        is_done(place, db:incr("counted"))
        is_done(place, db:add("added", { new_box("added") }))
        is_done(place, db:get("key 1"))
        is_done(place, db:get("box"))
        is_done(place, db:delete("key 2"))
        if place.is_transaction then
          assert.matches("use its tx", helper.error_of(db.transaction, db, nothing))
        else
          is_done(place, db:transaction(function(tx) tx.transferred = tx["key 1"] end))
        end
      end)
      if place.is_reporting then return end
      kept.set, kept.updated, kept.counted, kept["key 2"] = 1, ("wide"):rep(1000), 1, nil
      assert.is_false(db:has("key 2"))
      assert.equal("added", db.added[1].content)
    end)

    it("the same handle may " .. (place.is_reporting and "not " or "") .. "walk, check and reclaim", function()
      succeeds(place, function()
        if place.is_reporting then
          assert.matches("open another handle", helper.error_of(db.pairs, db))
        else
          local step = db:pairs()
          assert.equal("key 1", step())
          assert.is_true(db:reclaim())
          assert.equal("key 2", step())
        end
        is_done(place, db:check())
        is_done(place, db:reclaim())
        is_done(place, db:sync())
        is_done(place, db:stats())
      end)
    end)

    it("another handle may do everything, at once", function()
      succeeds(place, function()
        local other = assert(viperdb.open(path, { wait = no_wait }))
        for i = 1, 5 do
          assert(other:set("key " .. i, "from another"))
          kept["key " .. i] = "from another"
        end
        assert(other:transaction(function(tx) tx.moved = tx["key 1"] end))
        assert.is_true(other:check())
        local reclaimed, _, code = other:reclaim()
        if place.call == reclaim_with then assert.equal("BUSY", code) else assert.is_true(reclaimed) end
        assert(other:set("last", "word"))
        kept.last = "word"
        assert.is_true(other:close())
      end)
    end)
  end)
end
