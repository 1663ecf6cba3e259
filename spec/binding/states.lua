-- What the Lua states of states_test.c do. Loaded once in each of them: with the module, the path of a store that all
-- states share, the path of one of the state's own, and the state's name.
local viperdb, path, own_path, name = ...

local states = {}

local db, own
local left = {} -- what is still there when the state is closed
local writes = 0

local Box = {}
local in_dump, in_load

local function nothing() end

viperdb.register("states.Box", Box, {
  dump = function(box)
    in_dump()
    return box[1]
  end,
  load = function(content)
    in_load()
    return setmetatable({ content }, Box)
  end,
})

local function call_when_collected(f)
  local newproxy = rawget(_G, "newproxy")
  local proxy = newproxy and newproxy(true) or setmetatable({}, {})
  getmetatable(proxy).__gc = f
  left[#left + 1] = newproxy and proxy or setmetatable(proxy, { __gc = f })
end

function states.open()
  in_dump, in_load = nothing, nothing
  db = assert(viperdb.open(path))
  own = assert(viperdb.open(own_path, { sync = 0.001 }))
end

-- By its own handle on the shared store, and on its own.
function states.write()
  writes = writes + 1
  assert(db:set(name, writes))
  assert(db:incr("count"))
  assert(db:transaction(function(tx) tx["sum of " .. name] = (tx["sum of " .. name] or 0) + tx[name] end))
  assert(own:set("n", writes))
  assert(db[name] == writes and own.n == writes)
  assert(db["sum of " .. name] == writes * (writes + 1) / 2)
end

-- Walks, coroutines in the middle of walks, views, a transaction that is over, a reclaim that was begun, and handles:
-- some that are kept and some that are garbage.
function states.leave_things_open()
  for i = 1, 500 do own[i] = ("value "):rep(i % 50) end
  for _, store in ipairs({ db, own, assert(viperdb.open(path, { readonly = true })), assert(viperdb.open(path)) }) do
    local step = store:pairs()
    assert(step())
    local thread = coroutine.create(function()
      for key in store:keys() do coroutine.yield(key) end
    end)
    assert(coroutine.resume(thread))
    left[#left + 1] = { store, step, thread, store:table() }
    store:keys()()
  end
  assert(db:transaction(function(tx) left.transaction = tx end))
  assert(own:reclaim({ budget = 1e-6 }))
  assert(viperdb.open(path)):keys()()
end

-- What was left open goes on where it was.
function states.go_on()
  for _, things in ipairs(left) do
    local store, step, thread, view = things[1], things[2], things[3], things[4]
    assert(step() ~= nil and coroutine.resume(thread))
    assert(view[name] == store[name])
  end
  assert(not pcall(function() return left.transaction.n end))
end

function states.collect()
  collectgarbage()
  collectgarbage()
end

-- `note` is called with the number of each finalizer and whether it could write. They are made around the store and what
-- belongs to it, so at the end some run before these are finalized, and some after.
function states.watch_the_end(note)
  local step, view, over
  local function watch(number)
    call_when_collected(function()
      local value = { number, list = { ("text "):rep(100 * number) } }
      local done = pcall(function() db["finalizer " .. number] = value end)
      pcall(function() return db["finalizer " .. number], view.n, #db, #view end)
      pcall(db.update, db, "updated", function(old) return { old or number } end)
      pcall(db.transaction, db, function(tx) tx.a, tx.b = tx.b, value end)
      pcall(db.cas, db, "finalizer " .. number, value, value)
      pcall(step)
      pcall(tostring, view)
      pcall(function() over.n = 1 end)
      note(number, done)
      if number % 2 == 0 then error("a finalizer that raises") end
    end)
  end
  watch(1)
  db = assert(viperdb.open(path))
  watch(2)
  db.n = { ("wide "):rep(1000) }
  watch(3)
  step = db:pairs()
  step()
  watch(4)
  view = db:table()
  db:transaction(function(tx) over = tx end)
  watch(5)
end

-- Where Lua code runs inside a call: each makes the call with the deed in that place.
states.places = {
  ["a function of db:update"] = function(deed)
    return db:update("half", function()
      deed()
      return "done"
    end)
  end,
  ["a transaction"] = function(deed)
    return db:transaction(function(tx)
      tx.half = tx.count and "done"
      deed()
    end)
  end,
  ["a dump function"] = function(deed)
    in_dump = deed
    return db:set("half", { 1, setmetatable({ "done" }, Box) })
  end,
  ["a load function"] = function(deed)
    db.box = { setmetatable({ ("content "):rep(1000) }, Box), "behind" }
    in_load = deed
    local box = db.box
    return box[1][1] == ("content "):rep(1000) and box[2] == "behind"
  end,
  ["a loop"] = function(deed)
    for _ in db:pairs() do deed() end
    return true
  end,
  ["a coroutine in a loop"] = function(deed)
    return coroutine.resume(coroutine.create(function()
      for _ in db:pairs() do deed() end
    end))
  end,
  ["the progress function of db:check"] = function(deed)
    assert(db:transaction(function(tx)
      for i = 1, 12000 do tx[i] = i end
    end))
    return db:check({ progress = deed })
  end,
  ["the progress function of db:reclaim"] = function(deed)
    local reported = false
    for i = 1, 50 do
      assert(db:transaction(function(tx)
        for n = 1, 5000 * i do tx[n] = n end
      end))
      local done, message = db:reclaim({
        progress = function()
          reported = true
          deed()
        end,
      })
      if reported then return done, message end
    end
  end,
}

-- The deed is done once.
function states.call(place, deed)
  local done = false
  assert(states.places[place](function()
    if done then return end
    done = true
    deed()
  end))
  assert(done)
  in_dump, in_load = nothing, nothing
end

-- One of several threads, each with its own state: what it does in one round.
function states.work(round)
  if not db then states.open() end
  states.write()
  assert(db:update("list", function(list)
    list = list or {}
    list[#list % 10 + 1] = name
    return list
  end, { tries = math.huge }))
  assert(db:transaction(function(tx)
    local from, to = "account " .. round % 4, "account " .. (round + 1) % 4
    tx[from] = tx[from] - 1
    tx[to] = tx[to] + 1
  end, { tries = math.huge }))
  local sum = db:transaction(function(tx)
    local total = 0
    for i = 0, 3 do total = total + tx["account " .. i] end
    return total
  end)
  assert(sum == 400, sum)
  local own_value
  for key, value in db:pairs() do
    if key == name then own_value = value end
  end
  assert(own_value == writes, "a walk that misses a write")
  db.box = { setmetatable({ name }, Box), ("wide "):rep(round) }
  assert(getmetatable(db.box[1]) == Box)
  if round % 7 == 0 then left[#left % 10 + 1] = db:pairs() end
  if round % 10 == 0 then states.collect() end
  if round % 25 == 0 then
    local done, message, code = db:reclaim()
    assert(done or code == "BUSY", message)
  end
  if round % 20 == 0 then
    assert(db:close() and own:close())
    states.open()
  end
end

function states.prepare_accounts()
  for i = 0, 3 do db["account " .. i] = 100 end
end

function states.check_count(count)
  assert(db.count == count, db.count)
  assert(db:check() == true and own:check() == true)
end

return states
