-- The JSON codec beside lua-cjson: nanoseconds for one value, and our time as a part of lua-cjson's.
--
--   lua5.4 bench/json_bench.lua [seconds a measurement, 0.2 unless told]
--
-- Both codecs do the same work in turn, in one process, so that a slow moment of the machine meets both. A line is the
-- median of several rounds. lua-cjson prints 14 digits and refuses depths and values that we take, so the inputs
-- are such that both do the whole work.

local core = require "viperdb.core"
local cjson = require "cjson"

local seconds = tonumber((...)) or 0.2
local rounds = 7

local function read_all(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function first_record(path, list, position)
  return assert(core.json_decode(read_all(path)))[list][position]
end

local function array(count, make)
  local items = {}
  for i = 1, count do items[i] = make(i) end
  return items
end

local function nested(depth)
  local value = {}
  for i = 1, depth do value = i % 2 == 0 and { value, i } or { inner = value, level = i } end
  return value
end

local iso = "/usr/share/iso-codes/json/"
local names = { "caf\195\169", "\230\151\165\230\156\172\232\170\158", "\240\159\144\141", "na\195\175ve" }
local inputs = {
  { "integer", 42 },
  { "float", 0.1 },
  { "short string", "ViperDB!" },
  { "empty table", {} },
  { "language record", first_record(iso .. "iso_639-3.json", "639-3", 100) },
  { "country record", first_record(iso .. "iso_3166-1.json", "3166-1", 77) },
  { "all countries", assert(core.json_decode(read_all(iso .. "iso_3166-1.json"))) },
  { "all languages", assert(core.json_decode(read_all(iso .. "iso_639-3.json"))) },
  { "150,000 integers", array(150000, function(i) return i * 7919 % 1000003 end) },
  { "60,000 floats", array(60000, function(i) return math.sin(i) * 1000 end) },
  { "60,000 short floats", array(60000, function(i) return i / 100 end) },
  { "1 MB of text", ("The quick brown fox jumps over the lazy dog. "):rep(23302) },
  { "1 MB of lines", ("The \"quick\" brown fox jumps over\nthe lazy dog.\n"):rep(21846) },
  { "1 MB beyond ASCII", table.concat(array(40000, function(i) return names[i % 4 + 1] .. " and " .. i end)) },
  { "nested 120 deep", nested(120) },
}

local function time(call, argument, count)
  local start = os.clock()
  for _ = 1, count do call(argument) end
  return (os.clock() - start) / count
end

-- How often a call has to be repeated to take its part of the time.
local function repetitions(call, argument)
  local count = 1
  while true do
    local spent = time(call, argument, count) * count
    if spent > seconds / rounds / 4 then return math.max(1, math.floor(count * seconds / rounds / spent)) end
    count = count * 2
  end
end

local function median(values)
  table.sort(values)
  return values[math.floor(#values / 2) + 1]
end

-- The median times of both, in turn.
local function compare(ours, our_argument, theirs, their_argument)
  local our_count, their_count = repetitions(ours, our_argument), repetitions(theirs, their_argument)
  local our_times, their_times = {}, {}
  for i = 1, rounds do
    collectgarbage()
    our_times[i] = time(ours, our_argument, our_count)
    collectgarbage()
    their_times[i] = time(theirs, their_argument, their_count)
  end
  return median(our_times), median(their_times)
end

print(("%s, lua-cjson %s"):format(jit and jit.version or _VERSION, cjson._VERSION))
print(("%-20s %9s %12s %12s %7s %12s %12s %7s"):format("ns", "bytes", "encode", "lua-cjson", "ratio", "decode",
  "lua-cjson", "ratio"))
for _, input in ipairs(inputs) do
  local name, value = input[1], input[2]
  local text = assert(core.json_encode(value))
  -- lua-cjson's decoder takes only arrays and objects in its older versions
  local wrapped = text:find("^[%[{]") and text or "[" .. text .. "]"
  local encode, encode_theirs = compare(core.json_encode, value, cjson.encode, value)
  local decode, decode_theirs = compare(core.json_decode, wrapped, cjson.decode, wrapped)
  print(("%-20s %9d %12.0f %12.0f %7.2f %12.0f %12.0f %7.2f"):format(name, #text, encode * 1e9, encode_theirs * 1e9,
    encode / encode_theirs, decode * 1e9, decode_theirs * 1e9, decode / decode_theirs))
end
