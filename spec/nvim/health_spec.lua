-- What :checkhealth viperdb says, of a good installation and of what can be wrong with it.
local helper = require("spec.helper")
local neovim = require("spec.nvim.neovim")

-- The report, for the stores with these folders.
local function report(stores, runtime)
  return neovim.run([[
    vim.g.viperdb_stores = { ... }
    vim.cmd("checkhealth viperdb")
    io.write("\n", table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n"))
  ]], stores, runtime)
end

local function has(text, expected)
  assert.is_truthy(text:find(expected, 1, true), ("%q is not in:\n%s"):format(expected, text))
end

-- A runtime folder with the Lua files, and with the C module that was built for this Lua if one is given.
local function runtime_with(lua)
  local path = helper.path()
  os.execute(("mkdir '%s' && cp -r lua '%s'; rm -f '%s/lua/viperdb/core.so'"):format(path, path, path))
  local build = os.getenv("VIPERDB_BUILD") or "build"
  if lua then os.execute(("cp '%s/%s/viperdb/core.so' '%s/lua/viperdb/'"):format(build, lua, path)) end
  return path
end

describe("checkhealth", function()
  setup(neovim.setup)
  teardown(neovim.teardown)

  it("finds nothing wrong with an installation that works", function()
    local text = report()
    has(text, "lua/viperdb/core.so")
    has(text, "OK: ABI of Lua 5.1")
    has(text, "OK: stores can be made, locked and shared in " .. neovim.data())
    has(text, "MiB are free in " .. neovim.data())
    assert.is_nil(text:find("ERROR"))
  end)

  it("leaves nothing behind in the folder that it tried", function()
    report()
    local pipe = io.popen("ls '" .. neovim.data() .. "'")
    assert.is_nil(pipe:read("*a"):find("viperdb"))
    pipe:close()
  end)

  it("says how to build a module that is not there", function()
    local text = report({}, runtime_with(nil))
    has(text, "ERROR: The module does not load")
    has(text, "make nvim")
  end)

  it("says that a module was built for another Lua", function()
    local text = report({}, runtime_with("5.4"))
    has(text, "ERROR: The module does not load")
    has(text, "It was built for another Lua")
  end)

  it("looks at the stores that are named, also while they are open", function()
    local db, path = helper.store()
    for i = 1, 10 do db[i] = "value" end
    local text = report({ path })
    has(text, "OK: 10 keys in ")
    has(text, "OK: nothing in it is damaged")
    db:close()
  end)

  it("finds a damaged value and says how to repair the store", function()
    local db, path = helper.store()
    db.key = "a value to damage"
    db:close()
    helper.write_file(path .. "/db.vlog", (helper.read_file(path .. "/db.vlog"):gsub("damage", "DAMAGE")))
    local text = report({ path })
    has(text, "ERROR: ")
    has(text, ('viperdb.repair("%s", "%s.repaired")'):format(path, path))
  end)

  it("says that a store is not there", function()
    has(report({ "/nowhere" }), "ERROR: cannot open the folder /nowhere")
  end)
end)
