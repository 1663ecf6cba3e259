-- demo.lua: the world's languages, countries, scripts and currencies through a store and back.
--
--   make demo                     or, with the module on Lua's paths:
--   lua5.4 examples/demo.lua [folder]
--
-- Keeps every record of Debian's iso-codes as a table under its code, in a store in a temporary folder (or in
-- the folder that is named, which is then kept). Twice on the way and at the end, the whole store is compared
-- with a table that went through the same changes. Exits non-zero when anything differs.
local cjson = require("cjson")
local viperdb = require("viperdb")

local lists = {
  { kind = "language", code = "alpha_3", standard = "639-3" },
  { kind = "language-in-libraries", code = "alpha_3", standard = "639-2" },
  { kind = "language-family", code = "alpha_3", standard = "639-5" },
  { kind = "country", code = "alpha_2", standard = "3166-1" },
  { kind = "former-country", code = "alpha_4", standard = "3166-3" },
  { kind = "subdivision", code = "code", standard = "3166-2" },
  { kind = "script", code = "alpha_4", standard = "15924" },
  { kind = "currency", code = "alpha_3", standard = "4217" },
}

-- Numbers of two types are different where Lua has two.
local type_of = math.type and function(value) return math.type(value) or type(value) end or type

local function same(a, b)
  if type_of(a) ~= type_of(b) then return false end
  if type(a) ~= "table" then return a == b end
  for name, value in pairs(a) do
    if not same(value, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- 1234567 -> "1,234,567"
local function grouped(n)
  local text = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

-- Each step prints one line: what it did, the processor time it took, and how much of it for one of many.
local function step(what, times, action)
  local start = os.clock()
  local result = action()
  local seconds = os.clock() - start
  local each = times > 1 and ("%7.2f us each"):format(seconds / times * 1e6) or ""
  print(("%-52s %8.2f ms  %s"):format(what, seconds * 1e3, each))
  return result
end

-- The records of iso-codes by their keys, such as "country:DE".
local function read_source()
  local records = {}
  for _, list in ipairs(lists) do
    local file = assert(io.open("/usr/share/iso-codes/json/iso_" .. list.standard .. ".json", "rb"))
    for _, record in ipairs(cjson.decode(file:read("*a"))[list.standard]) do
      local key = list.kind .. ":" .. record[list.code]
      assert(records[key] == nil, key .. " is there twice")
      records[key] = record
    end
    file:close()
  end
  return records
end

-- Those hold only strings. So that numbers, booleans and lists are there too: a summary of each country that
-- has subdivisions, such as "summary:DE".
local function add_summaries(records)
  local codes_of, total = {}, 0
  for key, record in pairs(records) do
    local country = key:match("^subdivision:(%a%a)%-")
    if country then
      codes_of[country] = codes_of[country] or {}
      table.insert(codes_of[country], record.code)
      total = total + 1
    end
  end
  for country, codes in pairs(codes_of) do
    table.sort(codes)
    local n = #codes
    records["summary:" .. country] = { codes = codes, count = n, share = n / total, many = n > 50 }
  end
end

-- Every key and every value, both ways: what is expected is there, and nothing else is.
local function compare(db, expected)
  for key, record in pairs(expected) do
    if not same(db[key], record) then error(key .. " came back different") end
  end
  local seen = 0
  for key, record in db:pairs() do
    if not same(expected[key], record) then error(tostring(key) .. " should not be there like that") end
    seen = seen + 1
  end
  assert(seen == count(expected), "a key was not walked")
end

local function keys_of(records, kind)
  local keys = {}
  for key in pairs(records) do
    if key:match("^(.-):") == kind then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

local function kilobytes(bytes)
  return grouped(math.floor(bytes / 1024))
end

local function print_size(db)
  local stats = assert(db:stats())
  local total = stats.key_log_bytes + stats.value_log_bytes + stats.index_bytes
  print(("  %s keys in %s KB: key log %s, value log %s, index %s"):format(grouped(#db), kilobytes(total),
    kilobytes(stats.key_log_bytes), kilobytes(stats.value_log_bytes), kilobytes(stats.index_bytes)))
end

local function print_lookups(db)
  local germany, currency = db["country:DE"], db["currency:EUR"]
  local sentence = "  country:DE is %s with %d subdivisions, currency:EUR the %s, script:Cyrl %s"
  print(sentence:format(germany.official_name, db["summary:DE"].count, currency.name, db["script:Cyrl"].name))
end

-- Changes, in the store and in `expected` alike.
local function change(db, expected, keys)
  for _, key in ipairs(keys) do
    local record = db[key]
    record.visited = key < "country:M"
    db[key] = record
    expected[key].visited = key < "country:M"
  end
end

local function delete(db, expected, keys)
  for _, key in ipairs(keys) do
    db[key] = nil
    expected[key] = nil
  end
end

local function expire_in_an_hour(db, keys)
  for _, key in ipairs(keys) do
    assert(db:expire(key, 3600))
    local left = db:ttl(key)
    assert(left > 3000 and left <= 3600, key .. " does not expire in an hour")
  end
end

local function expire_now(db, expected, keys)
  for _, key in ipairs(keys) do
    assert(db:expire(key, 0.001))
    expected[key] = nil
  end
  assert(os.execute("sleep 0.01"))
end

local function store_and_read_back(folder, expected)
  local total = count(expected)
  local db = assert(viperdb.open(folder))
  step(("stored %s tables: db[key] = record"):format(grouped(total)), total, function()
    for key, record in pairs(expected) do db[key] = record end
  end)
  step("closed", 1, function() assert(db:close()) end)
  db = step("opened again", 1, function() return assert(viperdb.open(folder)) end)
  step("compared all with the source, looked up and walked", 2 * total, function() compare(db, expected) end)
  print_lookups(db)
  print_size(db)
  return db
end

local function change_and_reclaim(db, expected)
  local countries, former = keys_of(expected, "country"), keys_of(expected, "former-country")
  local currencies, scripts = keys_of(expected, "currency"), keys_of(expected, "script")
  step(("changed %d countries"):format(#countries), #countries, function()
    change(db, expected, countries)
  end)
  step(("deleted %d former countries"):format(#former), #former, function()
    delete(db, expected, former)
  end)
  step(("let %d currencies expire in an hour"):format(#currencies), #currencies, function()
    expire_in_an_hour(db, currencies)
  end)
  step(("let %d scripts expire now"):format(#scripts), #scripts, function()
    expire_now(db, expected, scripts)
  end)
  step("compared all again", 2 * count(expected), function() compare(db, expected) end)
  step("reclaimed what is gone", 1, function() assert(db:reclaim()) end)
  assert(#db == count(expected), "the count is wrong after the reclaim")
  print_size(db)
end

local function run(folder)
  local expected = step("read iso-codes with lua-cjson", 1, read_source)
  add_summaries(expected)
  local db = store_and_read_back(folder, expected)
  change_and_reclaim(db, expected)
  assert(db:close())
  db = assert(viperdb.open(folder))
  step("opened again and compared a last time", 2 * count(expected), function() compare(db, expected) end)
  assert(db:close())
end

local function temporary_folder()
  local pipe = assert(io.popen("mktemp -d"))
  local folder = assert(pipe:read("*l"), "mktemp made no folder")
  pipe:close()
  return folder
end

local folder = arg[1] or temporary_folder()
print(("ViperDB %s, %s, store in %s"):format(viperdb._VERSION, jit and jit.version or _VERSION, folder))
local done, problem = xpcall(function() run(folder) end, debug.traceback)
if not arg[1] then os.execute("rm -r '" .. folder .. "'") end
if not done then
  io.stderr:write("FAILED: ", tostring(problem), "\n")
  os.exit(1)
end
print("Every record came back equal, in type too. Times are processor time.")
