-- The plugin of examples/neovim.
local helper = require("spec.helper")
local neovim = require("spec.nvim.neovim")

local plugin = ("vim.opt.rtp:append('%s/examples/neovim') vim.cmd('runtime plugin/most_used.lua') ")
  :format(os.getenv("PWD"))

describe("the plugin that remembers the most used files", function()
  local folder
  setup(function()
    neovim.setup()
    folder = helper.path()
    os.execute("mkdir '" .. folder .. "'")
    for _, name in ipairs({ "often", "seldom", "close" }) do helper.write_file(folder .. "/" .. name, "text\n") end
  end)
  teardown(neovim.teardown)

  -- Opens files, so many times each, and ends.
  local open_files = plugin .. [[
    local folder, names = ...
    for name in names:gmatch("%S+") do
      vim.cmd("edit " .. folder .. "/" .. name)
      vim.cmd("bwipeout")
    end
  ]]
  local list_files = plugin .. [[
    for _, file in ipairs(require("most_used").list(10)) do
      io.write(vim.fn.fnamemodify(file.path, ":t"), " ", file.count, "\n")
    end
  ]]

  it("counts what several instances open at once", function()
    local instances = {}
    for i = 1, 3 do instances[i] = neovim.start(open_files, { folder, ("often "):rep(20) .. "seldom close often" }) end
    for i = 1, 3 do instances[i]() end
    local lines = {}
    for line in neovim.run(list_files):gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal("often 63", table.remove(lines, 1))
    table.sort(lines)
    assert.same({ "close 3", "seldom 3" }, lines)
  end)

  it("does not count buffers without a file", function()
    local before = neovim.run(list_files)
    neovim.run(plugin .. "vim.cmd('help') vim.cmd('new') require('most_used').count(0)")
    assert.equal(before, neovim.run(list_files))
  end)

  it("offers them, and opens the one that is chosen", function()
    assert.equal("often", neovim.run(plugin .. [[
      vim.ui.select = function(files, options, choose)
        assert(options.format_item(files[1]):find("63", 1, true))
        choose(files[1])
      end
      vim.cmd("MostUsed")
      io.write(vim.fn.expand("%:t"))
    ]]))
  end)

  it("closes its store when Neovim ends", function()
    neovim.run(open_files, { folder, "often" })
    assert.is_nil(io.open(neovim.data() .. "/most_used/.OPEN"))
    assert.is_true(#helper.read_file(neovim.data() .. "/most_used/db.klog") > 0)
  end)
end)
