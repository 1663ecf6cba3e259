-- The module in Neovim: values of Neovim's own, several instances, worker threads.
local helper = require("spec.helper")
local neovim = require("spec.nvim.neovim")

describe("in Neovim", function()
  setup(neovim.setup)
  teardown(neovim.teardown)

  it("the module is found on the runtime path", function()
    assert.equal(require("viperdb")._VERSION, neovim.run([[io.write(require("viperdb")._VERSION)]]))
  end)

  it("two instances at once see each other's writes", function()
    local program = [[
      local path, me, other = ...
      local db = assert(require("viperdb").open(path))
      for i = 1, 500 do
        db[me .. i] = { number = i, name = vim.fn.fnamemodify("a/" .. me, ":t") }
        while not db:has(other .. i) do vim.loop.sleep(0) end
        assert(db[other .. i].number == i and db[other .. i].name == other)
      end
      io.write(#db >= 501 and "seen by " .. me)
      db:close()
    ]]
    local path = helper.path()
    local first = neovim.start(program, { path, "one", "two" })
    local second = neovim.start(program, { path, "two", "one" })
    assert.equal("seen by one", first())
    assert.equal("seen by two", second())
  end)

  it("vim.NIL comes back, and is null", function()
    assert.equal("null [1, null] true true", neovim.run([[
      local viperdb = require("viperdb")
      local db = assert(viperdb.open((...)))
      db.null, db.list, db.mixed = vim.NIL, { 1, vim.NIL }, { 1, x = vim.NIL }
      io.write(vim.json.encode(db.null), " ", vim.fn.json_encode(db.list), " ")
      io.write(tostring(db.mixed.x == vim.NIL), " ", tostring(viperdb.null == vim.NIL))
      db:close()
    ]], { helper.path() }))
  end)

  it("the null of other programs is vim.NIL, and vim.NIL is theirs", function()
    local null = require("viperdb").null
    local db, path = helper.store()
    db.ours = { null }
    neovim.run([[
      local db = assert(require("viperdb").open((...)))
      assert(db.ours[1] == vim.NIL)
      db.theirs = { vim.NIL }
      db:close()
    ]], { path })
    assert.equal(null, db.theirs[1])
    db:close()
  end)

  it("vim.empty_dict() comes back as an empty table", function()
    assert.equal("true true {}", neovim.run([[
      local db = assert(require("viperdb").open((...)))
      db.empty = vim.empty_dict()
      db.outer = { inner = vim.empty_dict() }
      io.write(tostring(vim.deep_equal(db.empty, vim.empty_dict())), " ")
      io.write(tostring(vim.deep_equal(db.outer, { inner = {} })), " ")
      db:close()
      io.write(vim.fn.readfile((...) .. "/db.vlog", "", 1)[1]:sub(1, 2))
    ]], { helper.path() }))
  end)

  it("a worker thread and the main thread use a store at once", function()
    local program = [[
      local path = ...
      local db = assert(require("viperdb").open(path))
      local function work(path, package_path, package_cpath)
        package.path, package.cpath = package_path, package_cpath
        local db = assert(require("viperdb").open(path))
        for i = 1, 1000 do
          assert(db:set("worker" .. i, i))
          while not db:has("main" .. i) do end
        end
        assert(db:close())
        return "worker is done"
      end
      local message
      local root = vim.api.nvim_get_runtime_file("lua/viperdb/init.lua", false)[1]:match("^(.*)/viperdb/init.lua$")
      local job = vim.loop.new_work(work, function(result) message = result end)
      job:queue(path, root .. "/?.lua;" .. root .. "/?/init.lua", root .. "/?.so")
      for i = 1, 1000 do
        db["main" .. i] = i
        while db["worker" .. i] ~= i do end
      end
      while not message do vim.wait(1) end
      io.write(message, ", ", #db, " keys")
      db:close()
    ]]
    assert.equal("worker is done, 2000 keys", neovim.run(program, { helper.path() }))
  end)

  it("what was written is there after an exit without closing", function()
    local path = helper.path()
    neovim.run([[require("viperdb").open((...)).key = { 1, 2, 3 }]], { path })
    assert.equal("3", neovim.run([[io.write(#require("viperdb").open((...)).key)]], { path }))
  end)
end)
