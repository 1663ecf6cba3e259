-- Uses a store through the module as it was installed, in a folder given by STORE; prints TAP.
-- ORIGIN is where the module has to come from.
local count, failed = 0, false
local function ok(condition, sentence)
  count = count + 1
  failed = failed or not condition
  io.write(condition and "ok " or "not ok ", count, " - ", sentence, "\n")
end

local function origin(name)
  for template in (package.cpath .. ";"):gmatch("([^;]*);") do
    local path = template:gsub("%?", (name:gsub("%.", "/")))
    local file = io.open(path)
    if file then file:close() return path end
  end
  return "nowhere"
end

local function use_store()
  local viperdb = require("viperdb")
  local db = assert(viperdb.open(os.getenv("STORE")))
  db.project = { name = "viper", files = { "init.lua", "core.so" }, open = true }
  db[42] = "answer"
  assert(db:close())

  db = assert(viperdb.open(os.getenv("STORE")))
  local project = db.project
  ok(project.name == "viper" and project.open == true, "a table is there again after closing and opening")
  ok(#project.files == 2 and project.files[2] == "core.so", "with the list inside it")
  ok(db[42] == "answer", "and a string under a number")
  db.project = nil
  ok(db.project == nil and #db == 1, "and a key set to nil is gone")
  assert(db:close())
end

local expected = os.getenv("ORIGIN")
local found = origin("viperdb.core")
ok(found:sub(1, #expected) == expected, "the module is " .. found)
local done, problem = pcall(use_store)
ok(done, "no call failed" .. (done and "" or ": " .. tostring(problem)))
io.write("1..", count, "\n")
if failed then os.exit(1) end
