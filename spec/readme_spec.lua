local helper = require("spec.helper")
local viperdb = require("viperdb")

teardown(helper.clean)

local page = helper.read_file("README.md")

local function blocks_of(kind)
  local list = {}
  for text in page:gmatch("\n```" .. kind .. "\n(.-)```\n") do list[#list + 1] = text end
  return list
end

-- Whether a block is for this Lua: its first line may name others.
local function is_for_this_lua(block)
  local version = tonumber(_VERSION:match("%d%.%d"))
  local first = tonumber(block:match("^%-%- from Lua (%d%.%d) on\n"))
  local only = block:match("^%-%- in Lua 5%.1 and LuaJIT\n")
  return not (first and version < first) and not (only and version > 5.1)
end

-- All blocks as one program that keeps its stores in the folder, and what its comments say that it prints, as
-- patterns.
local function program_and_output(folder)
  local program, output = {}, {}
  for _, block in ipairs(blocks_of("lua")) do
    if is_for_this_lua(block) then
      program[#program + 1] = block:gsub('"%./', '"' .. folder .. "/")
      for text in block:gmatch("%-%- prints ([^\n]+)") do
        local pattern = text:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*"):gsub(" ", "%%s+")
        output[#output + 1] = "^" .. pattern .. "$"
      end
    end
  end
  return table.concat(program), output
end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

local function new_folder()
  local path = helper.path()
  os.execute("mkdir '" .. path .. "'")
  return path
end

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

describe("README.md", function()
  it("has examples that print what their comments say", function()
    local program, expected = program_and_output(new_folder())
    assert.is_true(#expected > 30)
    local printed = lines_of(helper.run(program))
    for i, line in ipairs(printed) do assert.matches(expected[i] or "^nothing more$", line) end
    assert.equal(#expected, #printed)
  end)

  it("shows a line of a real key log", function()
    local path = new_folder()
    helper.write_file(path .. "/db.klog", blocks_of("klog")[1])
    helper.write_file(path .. "/db.vlog", '"ViperDB!"')
    local db = assert(viperdb.open(path))
    assert.equal("ViperDB!", db.hello)
    assert.is_true(db:check())
    db:close()
    db = assert(viperdb.open(path .. "/new"))
    db.hello = "ViperDB!"
    db:close()
    local function without_moment(line)
      return (line:gsub('("timestamp": )%d+', "%1"):gsub('("checksum": )%d+', "%1"))
    end
    local real = helper.read_file(path .. "/new/db.klog")
    assert.equal(without_moment(blocks_of("klog")[1]), without_moment(real))
  end)

  it("names every file of an open store, and no other", function()
    local db, path = helper.store()
    db.hello = "ViperDB!"
    local listed = {}
    for name in page:match("## The folder\n(.-)\nA line"):gmatch("\n    (%S+)") do listed[name] = true end
    for _, name in ipairs(lines_of(output_of("ls -A '" .. path .. "'"):gsub("\n$", ""))) do
      assert.is_true(listed[name], name)
      listed[name] = nil
    end
    assert.is_nil(next(listed))
    db:close()
  end)

  it("has every method, and every code that there is", function()
    local types = helper.read_file("lua/viperdb/types.lua")
    local function is_there(text)
      assert.is_truthy(page:find(text, 1, true), "without " .. text)
    end
    for name in types:gmatch("\nfunction Store:([%w_]+)") do is_there("db:" .. name .. "(") end
    for name in types:gmatch("\nfunction viperdb%.([%w_]+)") do is_there("viperdb." .. name .. "(") end
    for code in types:gmatch('\n%-%-%-| "([%u_]+)"') do
      is_there("\n| `" .. code .. "` |")
    end
  end)

  it("has a C program that compiles and runs", function()
    local folder = new_folder()
    local build = os.getenv("VIPERDB_BUILD") or "build"
    local sanitizers = (os.getenv("SAN") or "") ~= "" and "-fsanitize=" .. os.getenv("SAN") or ""
    helper.write_file(folder .. "/program.c", blocks_of("c")[1])
    local compile = "env -u LD_PRELOAD ${CC:-cc} %s -Isrc/engine '%s/program.c' %s/libviperdb.a -pthread -o '%s/program'"
    assert.equal("", output_of(compile:format(sanitizers, folder, build, folder)))
    assert.equal("from C", output_of(("cd '%s' && env -u LD_PRELOAD ./program"):format(folder)))
    local db = assert(viperdb.open(folder .. "/db"))
    assert.equal("from C", db.hello)
    db:close()
  end)
end)
