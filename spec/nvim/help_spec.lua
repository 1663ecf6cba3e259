-- doc/viperdb.txt, compared with lua/viperdb/types.lua, which has the types of all calls.
local helper = require("spec.helper")
local neovim = require("spec.nvim.neovim")

describe("the help", function()
  local folder, text
  setup(function()
    neovim.setup()
    folder = helper.path()
    os.execute(("mkdir '%s' && cp -r doc '%s'"):format(folder, folder))
    text = helper.read_file("doc/viperdb.txt")
  end)
  teardown(neovim.teardown)

  it("has tags that Neovim takes and finds", function()
    assert.equal("viperdb.Store:get()", neovim.run([[
      vim.cmd("helptags " .. (...) .. "/doc")
      vim.cmd("help viperdb.Store:get()")
      io.write(vim.fn.expand("<cWORD>"):gsub("%*", ""), "")
    ]], { folder }, folder))
  end)

  it("refers only to tags that are there", function()
    assert.equal("", neovim.run([[
      vim.cmd("helptags " .. (...) .. "/doc")
      local text = table.concat(vim.fn.readfile((...) .. "/doc/viperdb.txt"), "\n")
      for tag in text:gmatch("|([%w_.:()-]+)|") do
        if not pcall(vim.cmd, "help " .. tag) then io.write(tag, "\n") end
      end
    ]], { folder }, folder))
  end)

  it("has every call, every field of an option or result, and every code", function()
    local missing = {}
    local function expect(what)
      if not text:find(what, 1, true) then missing[#missing + 1] = what end
    end
    local class
    for line in io.lines("lua/viperdb/types.lua") do
      class = line:match("^%-%-%-@class ([%w_.]+)") or class
      local owner, name = line:match("^function (%w+[.:])([%w_]+)%(")
      local field = line:match("^%-%-%-@field ([%w_]+)")
      local code = line:match('^%-%-%-| "([A-Z_]+)"')
      if owner then expect(("*%s%s()*"):format(owner == "viperdb." and owner or "viperdb." .. owner, name)) end
      if field then expect(class == "viperdb" and "*viperdb." .. field .. "*" or "\n    " .. field) end
      if code then expect(("*viperdb-%s*"):format(code)) end
    end
    assert.same({}, missing)
  end)

  it("fits into 78 columns", function()
    local number = 0
    for line in io.lines("doc/viperdb.txt") do
      number = number + 1
      assert.is_true(#line <= 78, "line " .. number .. " is too long")
    end
  end)
end)
