local helper = require("spec.helper")
local oracle = require("spec.oracle.oracle")
local viperdb = require("viperdb")

teardown(helper.clean)

local page = helper.read_file("docs/FORMAT.md")

local function blocks_of(kind)
  local list = {}
  for text in page:gmatch("\n```" .. kind .. "\n(.-)```\n") do list[#list + 1] = text end
  return list
end

local function bytes_of_hex(dump)
  local bytes = {}
  for line in dump:gmatch("[^\n]+") do
    for digits in line:match("^%x+  (.*)"):gmatch("%x%x") do
      bytes[#bytes + 1] = string.char(tonumber(digits, 16))
    end
  end
  return table.concat(bytes)
end

-- The page's pieces: the batch, then the example.
local batch, example = blocks_of("klog")[1], blocks_of("klog")[2]
local example_values = bytes_of_hex(blocks_of("vlog")[1])
local batch_values = page:match("With the value log `(%w+)`")
local program = blocks_of("lua")[1]

local function folder(key_log, value_log)
  local path = helper.path()
  os.execute("mkdir '" .. path .. "'")
  helper.write_file(path .. "/db.klog", key_log)
  helper.write_file(path .. "/db.vlog", value_log)
  return path
end

local function run_program(db)
  local chunk = assert((rawget(_G, "loadstring") or load)("local db = ... " .. program))
  chunk(db)
end

-- What depends on the moment of writing: the timestamp, and so the checksum, and so how far lines begin apart.
local function without_moment(lines)
  return (lines:gsub('"timestamp": %d+', '"timestamp": T'):gsub('"checksum": %d+', '"checksum": C')
    :gsub('"prev": %d+', '"prev": P'))
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

describe("The example of docs/FORMAT.md", function()
  it("is what its program leaves, byte for byte but for the moment of writing", function()
    local db, path = helper.store()
    run_program(db)
    assert.is_true(db:close())
    assert.equal(without_moment(example), without_moment(helper.read_file(path .. "/db.klog")))
    assert.equal(example_values, helper.read_file(path .. "/db.vlog"))
    oracle.load(path, "ours")
  end)

  it("is a store that opens and holds what the page says", function()
    local path = folder(example, example_values)
    local only = { oracle.line("hello", 4102444800000, { answer = 42 }) }
    assert.same(only, oracle.load(path, "ours"))
    local db = assert(viperdb.open(path))
    assert.same({ answer = 42 }, db.hello)
    assert.is_nil(db[42])
    assert.equal(1, #db)
    assert.is_true(db:check())
    db:close()
    assert.equal(example, helper.read_file(path .. "/db.klog"))
    assert.equal(example_values, helper.read_file(path .. "/db.vlog"))
  end)

  it("has the sizes and places of its table", function()
    assert.equal(tonumber(page:match("a key log of (%d+) bytes")), #example)
    assert.equal(tonumber(page:match("a value log of (%d+) bytes")), #example_values)
    local rows, start = page:gmatch("\n| (%d) | (%d+) | (%d+) |"), 0
    local count = 0
    for line in example:gmatch("[^\n]+\n") do
      count = count + 1
      local number, begins, size = rows()
      assert.same({ count, start, #line }, { tonumber(number), tonumber(begins), tonumber(size) })
      start = start + #line
    end
    assert.equal(4, count)
  end)

  it("has the checksummed bytes that the page shows", function()
    local shown = page:match('\n    ({"encoding".-})\n*:"ViperDB!"\n')
    assert.equal(example:match("^(.-), \"checksum\"") .. "}", shown)
  end)

  it("is left with its third line by a reclaim", function()
    local path = folder(example, example_values)
    local db = assert(viperdb.open(path))
    assert.is_true(db:reclaim())
    db:close()
    local third = example:match("^[^\n]*\n[^\n]*\n([^\n]*\n)")
    local expected = third:gsub('"offset": 12, "prev": 0', '"offset": 0')
    assert.equal(without_moment(expected), without_moment(helper.read_file(path .. "/db.klog")))
    assert.equal('{"answer":42}', helper.read_file(path .. "/db.vlog"))
    assert.equal(third:match('"timestamp": %d+'), helper.read_file(path .. "/db.klog"):match('"timestamp": %d+'))
  end)
end)

describe("A batch", function()
  local function opened(key_log)
    return assert(viperdb.open(folder(key_log, batch_values)))
  end

  it("counts when it is complete", function()
    assert.equal(3, #oracle.load(folder(batch, batch_values), "ours"))
    local db = opened(batch)
    assert.equal(70, db.from)
    assert.equal(30, db.to)
    assert.equal(25, db.moved)
    assert.is_true(db:check())
    db:close()
  end)

  it("never happened when its last line is missing", function()
    local first = batch:match("^[^\n]+\n")
    local two = batch:match("^[^\n]+\n[^\n]+\n")
    for _, key_log in ipairs({ first, first .. "{", two, two .. "{", batch:sub(1, -2) }) do
      assert.same({}, oracle.load(folder(key_log, batch_values)))
      local db = opened(key_log)
      assert.equal(0, #db)
      assert.is_nil(db.from)
      db:close()
    end
  end)

  it("is damaged when one of its lines is missing or damaged and a later one is not", function()
    local first, second, third = batch:match("^([^\n]+\n)([^\n]+\n)([^\n]+\n)")
    for _, key_log in ipairs({ first .. third, first .. second:gsub(": 1", ": #") .. third, first .. "\n" .. third }) do
      local db, message, code = viperdb.open(folder(key_log, batch_values))
      assert.is_nil(db)
      assert.matches("db%.klog", message)
      assert.equal("CORRUPT", code)
    end
  end)
end)

describe("A folder", function()
  local db, path

  before_each(function()
    db, path = helper.store()
    db.hello = "ViperDB!"
  end)

  after_each(function()
    db:close()
  end)

  it("has logs with filler while it is open, and is marked so", function()
    local key_log, value_log = helper.read_file(path .. "/db.klog"), helper.read_file(path .. "/db.vlog")
    assert.equal(256 * 1024, #key_log)
    assert.equal(256 * 1024, #value_log)
    assert.matches('^{[^\n]+}\n+$', key_log)
    assert.matches('^"ViperDB!"%z+$', value_log)
    assert.is_true(exists(path .. "/.OPEN"))
  end)

  it("has logs without filler, and no mark, when the last has closed it", function()
    local other = assert(viperdb.open(path))
    db:close()
    assert.is_true(exists(path .. "/.OPEN"))
    other:close()
    assert.matches('^{[^\n]+}\n$', helper.read_file(path .. "/db.klog"))
    assert.equal('"ViperDB!"', helper.read_file(path .. "/db.vlog"))
    assert.is_false(exists(path .. "/.OPEN"))
  end)

  it("begins its other files as the page says", function()
    db:close()
    local control, index = helper.read_file(path .. "/db.ctl"), helper.read_file(path .. "/db.index")
    assert.equal("ViperDB\n", control:sub(1, 8))
    assert.equal(4096, #control)
    assert.equal("ViperIx\n", index:sub(1, 8))
    assert.equal(0, #index % 65536)
  end)

  for _, names in ipairs({ { "db.index" }, { "db.ctl" }, { "db.index", "db.ctl" } }) do
    it("misses nothing without " .. table.concat(names, " and "), function()
      for i = 1, 100 do db[i] = i end
      db[50] = nil
      db:close()
      for _, name in ipairs(names) do assert(os.remove(path .. "/" .. name)) end
      db = assert(viperdb.open(path))
      assert.equal(100, #db)
      assert.equal(99, db[99])
      assert.is_nil(db[50])
      assert.is_true(db:check())
    end)
  end

  it("keeps what was cut from it, raw", function()
    db:close()
    local torn = '{"encoding": "json", "key": "torn", "off'
    helper.write_file(path .. "/db.klog", helper.read_file(path .. "/db.klog") .. torn)
    helper.write_file(path .. "/db.vlog", helper.read_file(path .. "/db.vlog") .. "1234")
    db = assert(viperdb.open(path))
    assert.equal(1, #db)
    local pipe = assert(io.popen("cat '" .. path .. "'/db.lost-*.klog '" .. path .. "'/db.lost-*.vlog"))
    assert.equal(torn .. "1234", pipe:read("*a"))
    pipe:close()
  end)

  it("loses new files that no db.swap asks for", function()
    db:close()
    for _, name in ipairs({ "db.klog.new", "db.vlog.new", "db.index.new" }) do
      helper.write_file(path .. "/" .. name, "half")
    end
    db = assert(viperdb.open(path))
    assert.equal("ViperDB!", db.hello)
    assert.is_false(exists(path .. "/db.klog.new"))
    assert.is_false(exists(path .. "/db.index.new"))
  end)
end)

describe("A key has one text:", function()
  local texts = {
    { "cl\195\169 \240\159\144\141", [["cl\u00e9 \ud83d\udc0d"]] },
    { 'quote" back\\ slash/', [["quote\" back\\ slash/"]] },
    { "\n\r\t\b\f\0\127", [["\n\r\t\b\f\u0000\u007f"]] },
    { "lone\128", [["lone\udc80"]] },
    { "\237\160\128", [["\udced\udca0\udc80"]] },
    { 1, "1" },
    { "1", '"1"' },
    { 1.0, "1" },
    { -0.0, "0" },
    { 0.5, "0.5" },
    { 0.0001, "0.0001" },
    { 1e-7, "1e-07" },
    { 1e16, "10000000000000000" },
    { -2 ^ 63, "-9223372036854775808" },
    { 2 ^ 63, "9.223372036854776e+18" },
    { 123456789.123, "123456789.123" },
    { 1e100, "1e+100" },
    { math.huge, "Infinity" },
    { -math.huge, "-Infinity" },
    { true, "true" },
    { "true", '"true"' },
  }
  for _, case in ipairs(texts) do
    local key, text = case[1], case[2]
    it(text .. " is that of a " .. type(key), function()
      local db, path = helper.store()
      db[key] = 1
      db:close()
      assert.equal(text, helper.read_file(path .. "/db.klog"):match('"key": (.*), "offset"'))
    end)
  end
end)

describe("A line in another form", function()
  -- One `set` of the value `1`, with its checksum left to Python.
  local function opened(fields)
    local path = folder("", "1")
    local sum = [[LD_PRELOAD= python3 -BSE -c 'import json, sys, zlib; record = json.loads(sys.argv[1]);]]
      .. [[print(zlib.crc32(json.dumps(record, sort_keys=True).encode() + b":1"))' '%s']]
    local pipe = assert(io.popen(sum:format(fields)))
    local line = fields:gsub("}$", ', "checksum": ' .. pipe:read("*n") .. "}\n")
    pipe:close()
    helper.write_file(path .. "/db.klog", line)
    return viperdb.open(path)
  end

  local forms = {
    ["in the original's order"] = '{"type": "set", "timestamp": 1, "key": "k", "encoding": "json", "offset": 0, "size": 1}',
    ["without white space"] = '{"size":1,"offset":0,"encoding":"json","key":"k","timestamp":1,"type":"set"}',
    ["with unknown fields"] = '{"z": [1.0, {"b": 1E2, "a": null}], "type": "set", "timestamp": 1, "key": "k", '
      .. '"encoding": "json", "offset": 0, "size": 1, "Author": "\\u00e9\\ud83d\\udc0d"}',
    ["with a field twice"] = '{"key": "other", "type": "set", "timestamp": 1, "key": "k", "encoding": "json", '
      .. '"offset": 0, "size": 1}',
    ["with other texts"] = '{"type": "set", "timestamp": 1, "key": "\\u006b", "encoding": "json", "offset": 0, '
      .. '"size": 1, "expiration": null}',
    ["with a float as expiration"] = '{"type": "set", "timestamp": 1, "key": "k", "encoding": "json", "offset": 0, '
      .. '"size": 1, "expiration": 4.1e12}',
  }
  for name, fields in pairs(forms) do
    it(name .. " is read", function()
      local db = assert(opened(fields))
      assert.equal(1, db.k)
      assert.equal(1, #db)
      db:close()
    end)
  end

  it("with a float as key is the integer's key", function()
    local db = assert(opened(
      '{"type": "set", "timestamp": 1, "key": 1e2, "encoding": "json", "offset": 0, "size": 1}'))
    assert.equal(1, db[100])
    db:close()
  end)

  it("that holds what can't be read is refused, not skipped", function()
    local refused = {
      '{"type": "set", "timestamp": 1, "key": null, "encoding": "json", "offset": 0, "size": 1}',
      '{"type": "set", "timestamp": 1, "key": "k", "encoding": "yaml", "offset": 0, "size": 1}',
      '{"type": "set", "timestamp": 99999999999999999999, "key": "k", "encoding": "json", "offset": 0, "size": 1}',
    }
    for _, fields in ipairs(refused) do
      local db, message, code = opened(fields)
      assert.is_nil(db)
      assert.matches("db%.klog", message)
      assert.equal("UNSUPPORTED", code)
    end
  end)
end)
