-- same: whether two values are equal as a store promises it: in type too, with the same tables shared.

-- One table of each pair that was met, with the other: shared in one means shared in the other.
local compare

local function compare_numbers(one, other, place)
  if one ~= one and other ~= other then return nil end
  local type_of = math.type or type
  if one == other and type_of(one) == type_of(other) and 1 / one == 1 / other then return nil end
  return ("%s: %s is not %s"):format(place, tostring(one), tostring(other))
end

local function compare_tables(one, other, place, pairs_met)
  if pairs_met[one] or pairs_met[other] then
    if pairs_met[one] == other and pairs_met[other] == one then return nil end
    return place .. ": shared in one only"
  end
  pairs_met[one], pairs_met[other] = other, one
  if getmetatable(one) ~= getmetatable(other) then return place .. ": another metatable" end
  for key, value in next, one do
    if rawget(other, key) == nil then return ("%s: no key %s"):format(place, tostring(key)) end
    local difference = compare(value, rawget(other, key), place .. "." .. tostring(key), pairs_met)
    if difference then return difference end
  end
  for key in next, other do
    if rawget(one, key) == nil then return ("%s: a key %s more"):format(place, tostring(key)) end
    -- the type of a number as a key shows only where it is met
    if math.type and math.type(key) == "float" and math.tointeger(key) then return place .. ": a float key" end
  end
end

compare = function(one, other, place, pairs_met)
  if type(one) ~= type(other) then return ("%s: %s is not %s"):format(place, tostring(one), tostring(other)) end
  if type(one) == "number" then return compare_numbers(one, other, place) end
  if type(one) == "table" then return compare_tables(one, other, place, pairs_met) end
  if one ~= other then return ("%s: %s is not %s"):format(place, tostring(one), tostring(other)) end
end

local same = {}

-- What is different, or nil.
function same.difference(one, other)
  return compare(one, other, "value", {})
end

return same
