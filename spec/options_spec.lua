-- What the options of viperdb.open do: wait, sync, readonly, reclaim. What they refuse is told in errors_spec.lua,
-- `functions` in functions_spec.lua, `integers` in errors_spec.lua and numbers_spec.lua.
local helper = require("spec.helper")
local viperdb = require("viperdb")

local fails = helper.fails

local children = {} -- process ids, to be killed when a test fails

-- It may have been killed already.
local function kill(process)
  os.execute("kill -KILL " .. process .. " 2>/dev/null")
end

teardown(function()
  for _, process in ipairs(children) do kill(process) end
  helper.clean()
end)

-- Looks again and again for something that is about to happen; with `tries` it takes its time.
local function wait_until(happened, tries)
  for _ = 1, tries or 1e8 do
    if happened() then return end
    if tries then os.execute("sleep 0.01") end
  end
  error("it did not happen")
end

local function signal(name, process)
  assert.is_truthy(os.execute("kill -" .. name .. " " .. process))
end

-- What open waits for when it is not told.
local default_wait = 5

-- Seconds of a clock on the wall.
local function now()
  local pipe = io.popen("date +%s.%N")
  local time = tonumber(pipe:read("*l"))
  pipe:close()
  return time
end

-- Starts a program that writes its process id to the file of its second argument, and returns the id.
local function start(program, path)
  local file = helper.path()
  local wait = helper.start([[
    local file = assert(io.open(arg[2] .. ".new", "w"))
    file:write(("%d"):format(io.open("/proc/self/stat"):read("*n")))
    file:close()
    os.rename(arg[2] .. ".new", arg[2])
  ]] .. program, path, file)
  wait_until(function() return io.open(file) end)
  local process = helper.read_file(file)
  children[#children + 1] = process
  return process, wait
end

-- Stops the process again and again, until that happened at a moment in which the call is the error BUSY.
local function stop_while_busy(process, call)
  for _ = 1, 10000 do
    signal("STOP", process)
    local result, message, code = call()
    if code == "BUSY" then return message end
    assert.is_truthy(result, message)
    signal("CONT", process)
  end
  error("the process was never stopped in the middle of its work")
end

-- A program that holds the writers' lock nearly all the time: it writes batches of many keys.
local writer = [[
  local db = assert(viperdb.open(arg[1]))
  local function batch(tx)
    for i = 1, 2000 do tx[i] = i end
  end
  while true do assert(db:transaction(batch)) end
]]

describe("With the option wait", function()
  local db, path, process, wait_for_end

  before_each(function()
    db, path = helper.store({ wait = 0.2 })
    db.n = 1
    process, wait_for_end = start(writer, path)
    wait_until(function() return db[2000] end)
  end)

  after_each(function()
    kill(process)
    wait_for_end()
    assert.is_true(db:set("after", "all"))
    assert.is_true(db:check())
    db:close()
  end)

  it("a write that meets a stopped writer is BUSY after so long, and reads go on", function()
    local message = stop_while_busy(process, function() return db:set("n", 2) end)
    assert.matches("holds the store's lock for longer than 0.2 seconds: is it stopped%?", message)
    local n, began = db.n, now()
    fails("BUSY", db:set("n", 3))
    local took = now() - began
    assert.is_true(took >= 0.2 and took < default_wait)
    fails("BUSY", db:delete("n"))
    fails("BUSY", db:expire("n", 1))
    fails("BUSY", db:incr("n"))
    fails("BUSY", db:add("new", 1))
    fails("BUSY", db:update("n", function() return 3 end))
    fails("BUSY", db:transaction(function(tx) tx.n = 3 end))
    fails("BUSY", db:reclaim())
    assert.matches("is it stopped", helper.error_of(function() db.n = 3 end))
    assert.equal(n, db.n)
    assert.is_false(db:has("new"))
    local count = 0
    for _ in db:pairs() do count = count + 1 end
    assert.equal(2001, count)
    assert.equal(2001, #db)
    assert.equal(n, db:transaction(function(tx) return tx.n end))
    assert.is_true(db:check())

    local hasty = assert(viperdb.open(path, { wait = 0.01 }))
    began = now()
    assert.matches("longer than 0.01 seconds", fails("BUSY", hasty:set("n", 3)))
    assert.is_true(now() - began >= 0.01)
    assert.equal(n, hasty.n)
    hasty:close()

    signal("CONT", process)
    wait_until(function() return db:set("n", 4) end)
    assert.equal(4, db.n)
  end)

  it("a write goes on when the stopped writer does", function()
    local patient = assert(viperdb.open(path, { wait = 600 }))
    stop_while_busy(process, function() return db:set("n", 2) end)
    os.execute("(sleep 0.3; kill -CONT " .. process .. ") &")
    assert.is_true(patient:set("n", 5))
    assert.equal(5, db.n)
    patient:close()
  end)

  it("a write goes on when the stopped writer is killed", function()
    local patient = assert(viperdb.open(path, { wait = 600 }))
    stop_while_busy(process, function() return db:set("n", 2) end)
    os.execute("(sleep 0.3; kill -KILL " .. process .. ") &")
    assert.equal(6, patient:update("n", function() return 6 end))
    assert.equal(6, db.n)
    patient:close()
  end)
end)

describe("With the option wait, opening", function()
  it("is BUSY after so long where another process is stopped as it opens or closes the store", function()
    local path = helper.path()
    local process, wait_for_end = start([[
      while true do assert(assert(viperdb.open(arg[1])):close()) end
    ]], path)
    wait_until(function() return io.open(path .. "/db.klog") end)
    local function open()
      local db, message, code = viperdb.open(path, { wait = 0.1 })
      if db then db:close() end
      return db, message, code
    end
    assert.matches("still opening or closing", stop_while_busy(process, open))
    local began = now()
    fails("BUSY", open())
    local took = now() - began
    assert.is_true(took >= 0.1 and took < default_wait)
    signal("CONT", process)
    local db
    wait_until(function()
      db = viperdb.open(path, { wait = 0.1 })
      return db
    end)
    kill(process)
    wait_for_end()
    db.hello = "ViperDB!"
    assert.equal("ViperDB!", db.hello)
    db:close()
  end)
end)

describe("With the option sync", function()
  local function is_synced(db)
    local stats = db:stats()
    return stats.synced_key_log == stats.key_log_bytes
  end

  it("= \"os\" nothing is synced by a write", function()
    for _, options in ipairs({ {}, { sync = "os" } }) do
      local db = helper.store(options)
      db.hello = "ViperDB!"
      assert.is_false(is_synced(db))
      assert.is_true(db:sync())
      assert.is_true(is_synced(db))
      db.hello = nil
      assert.is_false(is_synced(db))
      db:close()
    end
  end)

  it("= \"always\" every write is synced when it returns", function()
    local db, path = helper.store({ sync = "always" })
    local writes = {
      function() db.n = 1 end, function() db.n = 2 end, function() db:incr("n") end,
      function() db:set("k", "v") end, function() db:expire("k", 1000) end, function() db:persist("k") end,
      function() db:delete("k") end, function() db:update("n", function(n) return n + 1 end) end,
      function() db:transaction(function(tx) tx.a, tx.b = 1, 2 end) end,
      function() db:cas("n", 4, 5) end, function() db:add("added", 1) end, function() db.n = nil end,
    }
    for _, write in ipairs(writes) do
      local length = db:stats().key_log_bytes
      write()
      assert.is_true(db:stats().key_log_bytes > length)
      assert.is_true(is_synced(db))
    end
    local lazy = assert(viperdb.open(path))
    lazy.lazy = 1
    assert.is_false(is_synced(db))
    db.strict = 1
    assert.is_true(is_synced(lazy))
    lazy:close()
    db:close()
  end)

  it("= a number of seconds what was written is synced by itself, again and again", function()
    local db, path = helper.store({ sync = 0.01 })
    for i = 1, 5 do
      db.n = i
      wait_until(function() return is_synced(db) end)
    end
    local other = assert(viperdb.open(path))
    other.n = 6
    wait_until(function() return is_synced(other) end)
    assert.is_true(db:stats().last_sync > 0)
    assert.is_true(db:close())
    other.n = 7
    assert.equal(7, other.n)
    other:close()
  end)

  it("= a number the store is closed, collected and opened again at any moment", function()
    local path = helper.path()
    for i = 1, 60 do
      local db = assert(viperdb.open(path, { sync = i % 3 == 0 and 1e300 or 1e-5 }))
      db[i] = i
      if i % 20 == 0 then assert(db:reclaim()) end
      if i % 2 == 0 then assert.is_true(db:close()) end
      db = nil
      if i % 10 == 1 then collectgarbage() end
      assert.is_nil(db)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(io.open(path .. "/.OPEN"))
    local db = assert(viperdb.open(path, { sync = 1e-5, readonly = true }))
    assert.equal(60, #db)
    for i = 1, 60 do assert.equal(i, db[i]) end
    db:close()
  end)
end)

describe("With the option readonly", function()
  -- The names and bytes of all files in the folder.
  local function folder(path)
    local pipe = io.popen("cd '" .. path .. "' && ls -A && cat .OPEN db.* 2>&1 | cksum")
    local text = pipe:read("*a")
    pipe:close()
    return text
  end

  local function check_refused(db)
    local object = { 1, 2, x = "y" }
    fails("READONLY", db:set("a", object))
    fails("READONLY", db:set("a", 1, { ttl = 1 }))
    fails("READONLY", db:set_with_expiration("a", 1, 1e15))
    fails("READONLY", db:delete("a"))
    fails("READONLY", db:delete("absent"))
    fails("READONLY", db:expire("a", 1))
    fails("READONLY", db:persist("a"))
    fails("READONLY", db:add("absent", 1))
    fails("READONLY", db:replace("a", 1))
    fails("READONLY", db:update("a", function() return 1 end))
    fails("READONLY", db:update("absent", function() return nil end))
    fails("READONLY", db:incr("n"))
    fails("READONLY", db:cas("n", 1, 2))
    fails("READONLY", db:transaction(function(tx) tx.a, tx.n = nil, tx.n end))
    fails("READONLY", db:reclaim())
    fails("READONLY", db:reclaim({ budget = 1 }))
    fails("READONLY", db:sync())
    for _, store in ipairs({ db, db:table() }) do
      assert.matches("opened with readonly: open it without to write", helper.error_of(function() store.a = 1 end))
      assert.matches("opened with readonly", helper.error_of(function() store.a = nil end))
    end
  end

  local function check_reads(db)
    assert.equal("a", db.a)
    assert.equal(1, db:get("n"))
    assert.is_nil(db.absent)
    assert.is_true(db:has("a"))
    assert.equal(math.huge, db:ttl("a"))
    assert.equal(2, #db)
    assert.same({ "a", "n" }, (helper.collect(db:keys())))
    assert.equal("a", db:table().a)
    assert.equal("a", db:transaction(function(tx) return tx.a end))
    assert.is_false(db:add("a", 1))
    assert.is_false(db:cas("n", 2, 3))
    assert.equal(2, db:stats().keys)
    assert.is_true(db:check())
  end

  it("everything is read and nothing is written, of a store that was closed", function()
    local db, path = helper.store()
    db.a = "a"
    db.n = 1
    db:close()
    local before = folder(path)
    db = assert(viperdb.open(path, { readonly = true }))
    check_reads(db)
    check_refused(db)
    check_reads(db)
    assert.equal(before, folder(path))
    assert.is_true(db:close())
    assert.equal(before, folder(path))
  end)

  it("everything is read and nothing is written, of a store whose last user was killed", function()
    local path = helper.path()
    helper.run([[
      local db = assert(viperdb.open(arg[1]))
      db.a = "a"
      db.n = 1
    ]] .. helper.die, path)
    local before = folder(path)
    assert.matches("%.OPEN", before)
    local db = assert(viperdb.open(path, { readonly = true }))
    check_reads(db)
    check_refused(db)
    assert.is_true(db:close())
    assert.equal(before, folder(path))
  end)

  it("the writes of others are seen, and their reclaims", function()
    local db, path = helper.store()
    local reader = assert(viperdb.open(path, { readonly = true }))
    local generation = db:stats().generation
    for round = 1, 5 do
      db.last, db.outside = nil, nil
      for i = 1, 100 do db[i] = round * i end
      assert.equal(round * 100, reader[100])
      local step = reader:pairs()
      assert.same({ 1, round }, { step() })
      assert.is_true(db:reclaim())
      for i = 2, 100 do assert.same({ i, round * i }, { step() }) end
      db.last = round
      assert.equal(round, reader.last)
      assert.equal(generation + round, reader:stats().generation)
      helper.run("viperdb.open(arg[1]).outside = " .. round, path)
      assert.equal(round, reader.outside)
    end
    db:close()
    assert.equal(500, reader[100])
    assert.equal(102, #reader)
    reader:close()
  end)
end)

describe("With the option reclaim", function()
  local mib = 1024 * 1024
  local text = ("some text "):rep(6000)

  -- A reclaim waits for the disk at its end, and writes go on meanwhile, as fast as they can.
  local function wait_for_reclaim(db, generation, write)
    local function done() return write("cold 1", 1) or db:stats().generation > generation end
    wait_until(done, 3000)
  end

  -- Overwrites a few keys with so many bytes in all. Returns the most that the logs had.
  local function overwrite(db, bytes, write, longest)
    local most, count = 0, math.ceil(bytes / #text)
    for i = 1, count do
      write("hot " .. i % 40, i .. text)
      local stats = db:stats()
      local length = stats.key_log_bytes + stats.value_log_bytes
      most = math.max(most, length)
      if longest and length > longest then wait_for_reclaim(db, stats.generation, write) end
    end
    return most, count
  end

  local function check_values(db, count)
    for i = count - 39, count do assert.equal(i .. text, db["hot " .. i % 40]) end
    for i = 1, 100 do assert.equal(i, db["cold " .. i]) end
    assert.equal(140, #db)
    assert.is_true(db:check())
  end

  local function new_store(options)
    local db, path = helper.store(options)
    for i = 1, 100 do db["cold " .. i] = i end
    return db, path
  end

  it("the logs stay short however often a few keys are written", function()
    local db, path = new_store({ reclaim = 0.5 })
    local generation = db:stats().generation
    local most, count = overwrite(db, 120 * mib, function(key, value) db[key] = value end, 40 * mib)
    assert.is_true(most < 60 * mib)
    assert.is_true(db:stats().generation > generation + 1)
    assert.is_true(db:stats().last_reclaim > 0)
    check_values(db, count)
    assert.is_true(db:close())
    db = assert(viperdb.open(path))
    check_values(db, count)
    assert.is_nil(io.open(path .. "/db.klog.new"))
    db:close()
  end)

  it("they do by every kind of write", function()
    local db = new_store({ reclaim = 0.5 })
    local kinds = {
      function(key, value) db:update(key, function() return value end) end,
      function(key, value) db:transaction(function(tx) tx[key] = value end) end,
      function(key, value)
        db:delete(key)
        assert(db:add(key, value))
      end,
    }
    for _, write in ipairs(kinds) do
      local before = db:stats().generation
      local most, count = overwrite(db, 80 * mib, write, 40 * mib)
      assert.is_true(most < 70 * mib)
      assert.is_true(db:stats().generation > before)
      check_values(db, count)
    end
    db:close()
  end)

  it("walks, snapshots and other handles see what they should meanwhile", function()
    local db, path = new_store({ reclaim = 0.5 })
    local other = assert(viperdb.open(path, { reclaim = 0.1 }))
    local reader = assert(viperdb.open(path, { readonly = true }))
    local generation = db:stats().generation
    for i = 1, 40 do db["hot " .. i % 40] = i .. text end
    local step, old = db:pairs(), {}
    for i = 1, 100 do assert.same({ "cold " .. i, i }, { step() }) end
    local turn = 0
    local most, count = overwrite(db, 120 * mib, function(key, value)
      turn = turn + 1
      local writer_of_turn = turn % 2 == 0 and db or other
      writer_of_turn[key] = value
      assert(reader[key] == value)
    end, 40 * mib)
    assert.is_true(most < 60 * mib)
    assert.is_true(db:stats().generation > generation)
    for key, value in step do old[key] = value end
    for i = 1, 40 do assert.equal(i .. text, old["hot " .. i % 40]) end
    for _, store in ipairs({ db, other, reader }) do check_values(store, count) end
    other:close()
    reader:close()
    db:close()
  end)

  it("a reclaim that is under way is given up when the store is closed, or its process killed", function()
    local db, path = new_store()
    local _, count = overwrite(db, 20 * mib, function(key, value) db[key] = value end)
    db:close()
    local program = [[
      local db = assert(viperdb.open(arg[1], { reclaim = 0.01 }))
      db["cold 1"] = 1
      assert(io.open(arg[1] .. "/db.klog.new"))
    ]]
    assert.equal("", helper.run(program .. "db:close()", path))
    assert.is_nil(io.open(path .. "/db.klog.new"))
    assert.matches("Killed", helper.run(program .. helper.die, path))
    db = assert(viperdb.open(path))
    check_values(db, count)
    assert.is_true(db:reclaim())
    check_values(db, count)
    assert.is_nil(io.open(path .. "/db.klog.new"))
    db:close()
  end)

  it("not given, or with few bytes written, nothing is reclaimed", function()
    local db = new_store()
    local generation = db:stats().generation
    local most, count = overwrite(db, 40 * mib, function(key, value) db[key] = value end)
    assert.is_true(most > 39 * mib)
    assert.equal(generation, db:stats().generation)
    check_values(db, count)
    db:close()
    db = new_store({ reclaim = 0.01 })
    for i = 1, 2000 do db.hot = i end
    assert.equal(generation, db:stats().generation)
    db:close()
  end)
end)
