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

  it("vim.empty_dict() comes back as vim.empty_dict(), and an empty table as one", function()
    assert.equal('{} [] {"inner":{}} {"inner":[]} [{},[],[{}]]\n{}[]{"inner":{}}{"inner":[]}[{},[],[{}]]',
      neovim.run([[
        local db = assert(require("viperdb").open((...)))
        db.dict = vim.empty_dict()
        db.plain = {}
        db.outer = { inner = vim.empty_dict() }
        db.other = { inner = {} }
        db.list = { vim.empty_dict(), {}, { vim.empty_dict() } }
        for i, key in ipairs({ "dict", "plain", "outer", "other", "list" }) do
          io.write(i > 1 and " " or "", vim.json.encode(db[key]))
        end
        db:close()
        io.write("\n", vim.fn.readfile((...) .. "/db.vlog", "", 1)[1])
      ]], { helper.path() }))
  end)

  it("vim.empty_dict() with something in it is an ordinary table", function()
    assert.equal('{"a":[]} nil [1] nil', neovim.run([[
      local db = assert(require("viperdb").open((...)))
      local object, list = vim.empty_dict(), vim.empty_dict()
      object.a, list[1] = {}, 1
      db.object, db.list = object, list
      io.write(vim.json.encode(db.object), " ", tostring(getmetatable(db.object)), " ")
      io.write(vim.json.encode(db.list), " ", tostring(getmetatable(db.list)))
      db:close()
    ]], { helper.path() }))
  end)

  it("JSON is read and written as vim.json does", function()
    assert.equal("7 texts", neovim.run([=[
      local core = require("viperdb.core")
      local function same(one, other)
        if type(one) ~= "table" then return one == other end
        for key, value in pairs(one) do assert(same(value, other[key])) end
        return getmetatable(one) == getmetatable(other) and vim.deep_equal(one, other)
      end
      local texts = {
        "{}", "[]", "null", '{"a":[{},[],null]}', '{"a":{"b":{}}}', "[[],{},[[]],[{}]]", '[{"a":1},[1],""]',
      }
      for _, text in ipairs(texts) do
        local value = core.json_decode(text)
        assert(same(value, vim.json.decode(text)), text)
        assert(core.json_encode(value) == text and vim.json.encode(value) == text, text)
      end
      io.write(#texts, " texts")
    ]=]))
  end)

  it("an empty table of another Lua is vim.empty_dict(), and a table of either kind is one there", function()
    local db, path = helper.store()
    db.empty, db.outer = {}, { inner = {} }
    assert.equal('{} {"inner":{}}', neovim.run([[
      local db = assert(require("viperdb").open((...)))
      io.write(vim.json.encode(db.empty), " ", vim.json.encode(db.outer))
      db.dict, db.plain = vim.empty_dict(), { {}, { a = {} } }
      db:close()
    ]], { path }))
    assert.same({}, db.dict)
    assert.is_nil(getmetatable(db.dict))
    assert.same({ {}, { a = {} } }, db.plain)
    assert.is_nil(getmetatable(db.plain[1]))
    db:close()
  end)

  it("cas tells vim.empty_dict() and an empty table apart", function()
    assert.equal("false true false true", neovim.run([[
      local db = assert(require("viperdb").open((...)))
      db.key = vim.empty_dict()
      local results = { db:cas("key", {}, 1), db:cas("key", vim.empty_dict(), {}) }
      vim.list_extend(results, { db:cas("key", vim.empty_dict(), 1), db:cas("key", {}, 1) })
      io.write(table.concat(vim.tbl_map(tostring, results), " "))
      db:close()
    ]], { helper.path() }))
  end)

  it("a binary dump has only empty tables", function()
    assert.equal("true nil nil", neovim.run([[
      local db = assert(require("viperdb").open((...)))
      db.mixed = { 1, x = vim.empty_dict(), y = {} }
      io.write(tostring(vim.deep_equal(db.mixed, { 1, x = {}, y = {} })), " ")
      io.write(tostring(getmetatable(db.mixed.x)), " ", tostring(getmetatable(db.mixed.y)))
      db:close()
    ]], { helper.path() }))
  end)

  it("a worker thread has vim.empty_dict() and vim.NIL too", function()
    assert.equal('{"dict":{},"list":[],"null":null} true', neovim.run([[
      local path = ...
      local db = assert(require("viperdb").open(path))
      db.value = { list = {} }
      local function work(path, package_path, package_cpath)
        package.path, package.cpath = package_path, package_cpath
        local db = assert(require("viperdb").open(path))
        local value = db.value
        value.dict, value.null = vim.empty_dict(), vim.NIL
        db.value = value
        local is_same = getmetatable(db.value.dict) == vim._empty_dict_mt and db.value.null == vim.NIL
        db:close()
        return is_same
      end
      local is_same
      local root = vim.api.nvim_get_runtime_file("lua/viperdb/init.lua", false)[1]:match("^(.*)/viperdb/init.lua$")
      local job = vim.loop.new_work(work, function(result) is_same = result end)
      job:queue(path, root .. "/?.lua;" .. root .. "/?/init.lua", root .. "/?.so")
      while is_same == nil do vim.wait(1) end
      local value = db.value
      io.write('{"dict":', vim.json.encode(value.dict), ',"list":', vim.json.encode(value.list), ',"null":',
        vim.json.encode(value.null), "} ", tostring(is_same))
      db:close()
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
