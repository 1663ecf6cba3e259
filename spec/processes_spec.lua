-- Several processes that change the same keys at once.
local helper = require("spec.helper")

teardown(helper.clean)

local processes = 4

-- Starts so many processes with this program. They begin when all have the store open: each says so and waits
-- for the others. Arguments of the program: the store's path, the process's number, how many there are, the
-- others. What each printed is returned.
local function run_together(program, path, ...)
  local together = [[
    local path, number, count = arg[1], tonumber(arg[2]), tonumber(arg[3])
    local db = assert(viperdb.open(path))
    assert(db:incr("started"))
    local looks = 0
    while db.started < count do
      looks = looks + 1
      assert(looks < 1e7, "the other processes don't start")
    end
  ]]
  local waits, outputs = {}, {}
  for i = 1, processes do waits[i] = helper.start(together .. program, path, i, processes, ...) end
  for i = 1, processes do outputs[i] = waits[i]() end
  return outputs
end

describe("Processes that change the same keys", function()
  local db, path

  before_each(function()
    db, path = helper.store()
  end)

  after_each(function()
    db:close()
  end)

  local function all_say(word, outputs)
    for _, output in ipairs(outputs) do assert.equal(word, output) end
  end

  it("lose no increment", function()
    all_say("done", run_together([[
      for _ = 1, 5000 do assert(db:incr("count")) end
      print("done")
    ]], path))
    assert.equal(processes * 5000, db.count)
  end)

  it("lose no update, while the files are reclaimed", function()
    all_say("done", run_together([[
      for i = 1, 2000 do
        assert(db:update("list", function(list)
          list = list or {}
          list[number] = (list[number] or 0) + 1
          for other = 1, count do list[other] = list[other] or 0 end
          return list
        end))
        if i % 400 == 0 then db:reclaim() end
      end
      print("done")
    ]], path))
    local expected = {}
    for i = 1, processes do expected[i] = 2000 end
    assert.same(expected, db.list)
  end)

  it("win each key once with add, and each step once with cas", function()
    local outputs = run_together([[
      local added, swapped = 0, 0
      for i = 1, 1000 do
        if db:add("key " .. i, number) then
          added = added + 1
          assert(db["key " .. i] == number)
        end
        local step = db.step
        if db:cas("step", step, (step or 0) + 1) then swapped = swapped + 1 end
      end
      print(added .. " " .. swapped)
    ]], path)
    local added, swapped = 0, 0
    for _, output in ipairs(outputs) do
      local keys, steps = output:match("^(%d+) (%d+)$")
      added, swapped = added + tonumber(keys), swapped + tonumber(steps)
    end
    assert.equal(1000, added)
    assert.equal(db.step, swapped)
  end)

  it("see the sum of all accounts unchanged in every transaction", function()
    local accounts = 8
    for i = 1, accounts do db["account " .. i] = 100 end
    all_say("done", run_together([[
      local accounts = tonumber(arg[4])
      math.randomseed(number)
      local function transfer(tx)
        local from, to = "account " .. math.random(accounts), "account " .. math.random(accounts)
        if from == to then return end
        local amount = math.random(10)
        tx[from] = tx[from] - amount
        tx[to] = tx[to] + amount
      end
      local function sum(tx)
        local total = 0
        for i = 1, accounts do total = total + tx["account " .. i] end
        return total
      end
      for i = 1, 2000 do
        if number > 1 then assert(db:transaction(transfer)) end
        local total = assert(db:transaction(sum))
        assert(total == accounts * 100, total)
        if number == 2 and i % 500 == 0 then db:reclaim() end
      end
      print("done")
    ]], path, accounts))
    local total = 0
    for i = 1, accounts do total = total + db["account " .. i] end
    assert.equal(accounts * 100, total)
  end)

  it("leave whole batches when they are killed", function()
    local program = [[
      local db = assert(viperdb.open(arg[1]))
      db.process = io.open("/proc/self/stat"):read("*n")
      while true do
        assert(db:transaction(function(tx)
          local n = (tx.a or 0) + 1
          for _, key in ipairs({ "a", "b", "c", "d" }) do tx[key] = n end
        end))
      end
    ]]
    for round = 1, 5 do
      local before = db.a or 0
      local wait = helper.start(program, path)
      local looks = 0
      while (db.a or 0) < before + 50 do
        looks = looks + 1
        if looks == 1e7 then error("the process does nothing: " .. wait()) end
      end
      os.execute("kill -9 " .. ("%d"):format(db.process))
      assert.matches("Killed", wait())
      local values = db:transaction(function(tx) return { tx.a, tx.b, tx.c, tx.d } end)
      assert.is_true(values[1] >= 50 * round)
      assert.same({ values[1], values[1], values[1], values[1] }, values)
    end
    assert.is_true(db:check())
  end)
end)
