-- input: the keys, values and records that are measured from Lua. The same for every store, and made before
-- the clock starts.

local input = {}

-- A generator of its own, so that every Lua gets the same numbers: Park and Miller's.
local function random_from(seed)
  local state = seed
  return function(limit)
    state = state * 16807 % 2147483647
    return state % limit + 1
  end
end

local function shuffle(list, seed)
  local random = random_from(seed)
  for i = #list, 2, -1 do
    local other = random(i)
    list[i], list[other] = list[other], list[i]
  end
  return list
end

-- Every key once, in no order.
function input.keys(count, last, seed)
  local keys = {}
  for i = 1, count do keys[i] = ("%015d%s"):format(i, last) end
  return shuffle(keys, seed)
end

local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- 1000 different texts of 100 bytes, used in turn.
function input.values()
  local random, values = random_from(3), {}
  for i = 1, 1000 do
    local bytes = {}
    for j = 1, 100 do
      local at = random(64)
      bytes[j] = letters:sub(at, at)
    end
    values[i] = table.concat(bytes)
  end
  return values
end

-- 1000 small tables, as programs keep them.
function input.records()
  local random, records = random_from(4), {}
  for i = 1, 1000 do
    records[i] = {
      name = "user " .. i,
      age = random(90),
      score = random(1000) / 8,
      tags = { "red", "green", "blue" },
      active = i % 2 == 0,
    }
  end
  return records
end

return input
