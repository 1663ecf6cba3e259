-- viperdb.health: what `:checkhealth viperdb` says in Neovim.
--
-- It looks at the module, at the folder where plugins keep their data, and at the stores whose folders are
-- named in g:viperdb_stores. A store that it looks at is opened read-only.

local health = {}

-- Neovim 0.7 has require("health").report_ok, 0.8 vim.health.report_ok, 0.10 vim.health.ok.
local function reporter()
  local library = vim.health or require("health")
  local report = {}
  for _, name in ipairs({ "start", "ok", "info", "warn", "error" }) do
    report[name] = library[name] or library["report_" .. name]
  end
  return report
end

local function advice_for(message)
  if message:find("undefined symbol", 1, true) then
    return { "It was built for another Lua. Run `make nvim` in the folder of viperdb." }
  end
  return { "Run `make nvim` in the folder of viperdb; it needs a C compiler." }
end

local function check_module(report)
  report.start("viperdb: module")
  local loaded, viperdb = pcall(require, "viperdb")
  if not loaded then
    report.error("The module does not load: " .. tostring(viperdb), advice_for(tostring(viperdb)))
    return nil
  end
  local file = vim.api.nvim_get_runtime_file("lua/viperdb/core.so", false)[1]
  report.ok(("viperdb %s from %s"):format(viperdb._VERSION, file or "package.cpath"))
  report.ok(("ABI of %s, as this Neovim with %s has it"):format(_VERSION, jit and jit.version or "PUC Lua"))
  return viperdb
end

local function check_space(report, folder)
  local loop = vim.uv or vim.loop
  local system = loop.fs_statfs(folder)
  if not system then return report.info("free space in " .. folder .. " is not known") end
  local megabytes = math.floor(system.bavail * system.bsize / 2 ^ 20)
  if megabytes < 100 then
    report.warn(("only %d MiB are free in %s"):format(megabytes, folder))
  else
    report.ok(("%d MiB are free in %s"):format(megabytes, folder))
  end
end

-- What one handle writes another one reads: so files can be made, shared and locked there.
local function try_store(viperdb, path)
  local first = assert(viperdb.open(path))
  local second = assert(viperdb.open(path))
  for i = 1, 10 do
    assert(first:set("first", i))
    assert(second:set("second", i))
    assert(second:get("first") == i and first:get("second") == i, "two handles read different values")
  end
  assert(first:close())
  assert(second:close())
end

local function check_folder(report, viperdb)
  report.start("viperdb: folder")
  local folder = vim.fn.stdpath("data")
  pcall(vim.fn.mkdir, folder, "p") -- raises when another instance makes it at the same moment
  local path = ("%s/viperdb-health-%d"):format(folder, vim.fn.getpid())
  local works, message = pcall(try_store, viperdb, path)
  vim.fn.delete(path, "rf")
  if works then
    report.ok("stores can be made, locked and shared in " .. folder)
  else
    report.error(tostring(message), { "Stores need a local file system where you may write." })
  end
  check_space(report, folder)
end

local function report_size(report, stats)
  local total = stats.key_log_bytes + stats.value_log_bytes
  local live = stats.key_log_live + stats.value_log_live
  report.ok(("%d keys in %d KiB; db:reclaim() would free %d KiB"):format(
    stats.keys, total / 1024, (total - live) / 1024))
end

local function check_store(report, viperdb, path)
  report.start("viperdb: store " .. path)
  local db, message, code = viperdb.open(path, { readonly = true })
  if not db then return report.error(("%s (%s)"):format(message, code)) end
  report_size(report, assert(db:stats()))
  local problems, found = db:check()
  db:close()
  if problems == true then return report.ok("nothing in it is damaged") end
  local repair = ('viperdb.repair("%s", "%s.repaired")'):format(path, path)
  report.error(problems and table.concat(found, "\n") or found, { repair .. " writes what is good anew." })
end

function health.check()
  local report = reporter()
  local viperdb = check_module(report)
  if not viperdb then return end
  check_folder(report, viperdb)
  for _, path in ipairs(vim.g.viperdb_stores or {}) do check_store(report, viperdb, vim.fn.expand(path)) end
end

return health
