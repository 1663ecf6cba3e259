-- most_used: how often each file was opened, in all instances of Neovim, now and before.
--
-- The store has a number for each path. All instances have it open, and see what the others count.
local viperdb = require("viperdb")

local most_used = {}
local db

local function store()
  if db then return db end
  -- mkdir raises when another instance makes the folder at the same moment.
  pcall(vim.fn.mkdir, vim.fn.stdpath("data"), "p")
  db = assert(viperdb.open(vim.fn.stdpath("data") .. "/most_used"))

  -- Neovim collects nothing when it exits, so the store would stay open until the process is gone. That loses
  -- nothing, but the next to open it would have to look at what was left.
  vim.api.nvim_create_autocmd("VimLeavePre", { callback = most_used.close })
  return db
end

function most_used.close()
  if db then assert(db:close()) end
  db = nil
end

-- A path may have the name of a method, as `close`: so it goes through calls and never through db[path].
function most_used.count(buffer)
  local path = vim.api.nvim_buf_get_name(buffer)
  if path == "" or vim.bo[buffer].buftype ~= "" then return end
  local count, message = store():incr(path)
  if not count then vim.notify("most_used: " .. message, vim.log.levels.WARN) end
end

-- The files that were opened most often, as a list of { path, count }.
function most_used.list(limit)
  local files = {}
  for path, count in store():pairs() do files[#files + 1] = { path = path, count = count } end
  table.sort(files, function(a, b) return a.count > b.count end)
  return vim.list_slice(files, 1, limit)
end

function most_used.choose()
  vim.ui.select(most_used.list(20), {
    prompt = "Most used files",
    format_item = function(file)
      return ("%4d  %s"):format(file.count, vim.fn.fnamemodify(file.path, ":~:."))
    end,
  }, function(file)
    if file then vim.cmd("edit " .. vim.fn.fnameescape(file.path)) end
  end)
end

return most_used
