-- The JSON codec beside lua-cjson: nanoseconds for one value, and our time as a part of lua-cjson's.
--
--   lua5.4 bench/json_bench.lua [seconds a measurement, 0.2 unless told]
--
-- Both do the same work in turn, in one process, so that a slow moment of the machine meets both. A number is
-- the median of several rounds. One input is in memory at a time: the collector walks through all there is.

local core = require("viperdb.core")
local cjson = require("cjson")

local seconds = tonumber((...)) or 0.2
local rounds = 7

local function decode(text) return assert(core.json_decode(text)) end

-- A file of Debian's package iso-codes.
local function iso(name)
  local file = assert(io.open("/usr/share/iso-codes/json/iso_" .. name .. ".json", "rb"))
  local text = file:read("*a")
  file:close()
  return decode(text)
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

local words = { "caf\195\169", "\230\151\165\230\156\172\232\170\158", "\240\159\144\141", "na\195\175ve" }

local inputs = {
  { "integer", function() return 42 end },
  { "float", function() return 0.1 end },
  { "short string", function() return "ViperDB!" end },
  { "empty table", function() return {} end },
  { "language record", function() return iso("639-3")["639-3"][100] end },
  { "country record", function() return iso("3166-1")["3166-1"][77] end },
  { "all countries", function() return iso("3166-1") end },
  { "all languages", function() return iso("639-3") end },
  { "150,000 integers", function() return array(150000, function(i) return i * 7919 % 1000003 end) end },
  { "60,000 floats", function() return array(60000, function(i) return math.sin(i) * 1000 end) end },
  { "60,000 short floats", function() return array(60000, function(i) return i / 100 end) end },
  { "1 MB of text", function() return ("The quick brown fox jumps over the lazy dog. "):rep(23302) end },
  { "1 MB of lines", function() return ('The "quick" brown fox jumps over\nthe lazy dog.\n'):rep(21846) end },
  { "words beyond ASCII", function()
    return table.concat(array(40000, function(i) return words[i % 4 + 1] .. " and " .. i end))
  end },
  { "nested 120 deep", function() return nested(120) end },
}

local function time(call, argument, count)
  local start = os.clock()
  for _ = 1, count do call(argument) end
  return (os.clock() - start) / count
end

-- How often to call in one round.
local function repetitions(call, argument)
  local count, wanted = 1, seconds / rounds
  while true do
    local spent = time(call, argument, count) * count
    if spent > wanted / 4 then return math.max(1, math.floor(count * wanted / spent)) end
    count = count * 2
  end
end

local function median(values)
  table.sort(values)
  return values[math.floor(#values / 2) + 1]
end

-- Nanoseconds of both.
local function compare(ours, theirs, argument)
  local our_count, their_count = repetitions(ours, argument), repetitions(theirs, argument)
  local our_times, their_times = {}, {}
  for i = 1, rounds do
    collectgarbage()
    our_times[i] = time(ours, argument, our_count) * 1e9
    collectgarbage()
    their_times[i] = time(theirs, argument, their_count) * 1e9
  end
  return median(our_times), median(their_times)
end

local function compare_encoders(value)
  local ours, theirs = compare(core.json_encode, cjson.encode, value)
  local text = assert(core.json_encode(value))
  -- older versions of lua-cjson read only arrays and objects
  return ours, theirs, text:find("^[%[{]") and text or "[" .. text .. "]"
end

local jit_version = rawget(_G, "jit") and rawget(_G, "jit").version
print(("%s, lua-cjson %s"):format(jit_version or _VERSION, cjson._VERSION))
local head = "%-20s %9s %11s %11s %6s %11s %11s %6s"
local row = "%-20s %9d %11.0f %11.0f %6.2f %11.0f %11.0f %6.2f"
print(head:format("nanoseconds", "bytes", "encode", "lua-cjson", "ratio", "decode", "lua-cjson", "ratio"))
for _, input in ipairs(inputs) do
  local encode, encode_theirs, text = compare_encoders(input[2]())
  local read, read_theirs = compare(core.json_decode, cjson.decode, text)
  print(row:format(input[1], #text, encode, encode_theirs, encode / encode_theirs, read, read_theirs,
    read / read_theirs))
end
