local core = require("viperdb.core")

local function bytes_of(hex)
  return (hex:gsub("%s", ""):gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function hex_of(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x "):format(byte:byte()) end):gsub(" $", ""))
end

-- The call fails with this code and a message, which is returned.
local function fails(code, ...)
  local result, message, got = ...
  assert.is_nil(result)
  assert.equal(code, got)
  return message
end

describe("Bytes that no store writes are the error", function()
  local function refused(code, expected, hex)
    local message = fails(code, core.dump_decode(bytes_of(hex)))
    assert.matches(expected, message, 1, true)
  end

  local function corrupt(expected, hex)
    refused("CORRUPT", "binary dump at byte " .. expected, hex)
  end

  it("UNSUPPORTED of another version", function()
    refused("UNSUPPORTED", "another version", "00 04")
    refused("UNSUPPORTED", "another version", "02 04")
    refused("UNSUPPORTED", "another version", "ff")
  end)

  it("CORRUPT of a tag that means nothing", function()
    for _, tag in ipairs({ "00", "0b", "1f", "f4", "ff" }) do corrupt("1: not a value", "01" .. tag) end
    corrupt("3: not a value", "01 06 21 0c 00 00")
  end)

  it("CORRUPT of an end that is missing, or of more", function()
    corrupt("0: it ends too early", "")
    corrupt("1: it ends too early", "01")
    corrupt("2: it ends too early", "01 06")
    corrupt("3: it ends too early", "01 06 00")
    corrupt("2: more bytes after the value", "01 04 00")
    corrupt("4: more bytes after the value", "01 06 00 00 21")
  end)

  it("CORRUPT of a size beyond the end", function()
    corrupt("3: it ends too early", "01 b2 61")
    corrupt("4: it ends too early", "01 f0 40 61")
    corrupt("6: it ends too early", "01 f3 ff ff ff ff")
    corrupt("9: it ends too early", "01 05 00 00 00 00 00 00 f0")
    corrupt("5: it ends too early", "01 06 00 f3 ff")
  end)

  it("CORRUPT of a number in more bytes than it needs", function()
    corrupt("2: a number in more", "01 a0 7f")
    corrupt("2: a number in more", "01 a1 ff 00")
    corrupt("2: a number in more", "01 a7 ff ff ff ff ff ff ff 00")
    corrupt("2: a number in more", "01 a9 ff 00")
    corrupt("2: a number in more", "01 f0 3f" .. ("61"):rep(63))
    corrupt("2: a number in more", "01 f1 ff 00" .. ("61"):rep(255))
  end)

  it("CORRUPT of an integer of more than 64 bits", function()
    corrupt("9: an integer of more", "01 a7 ff ff ff ff ff ff ff ff")
    corrupt("9: an integer of more", "01 af ff ff ff ff ff ff ff 80")
  end)

  it("CORRUPT of a NaN that is no NaN", function()
    corrupt("2: NaN", "01 05 00 00 00 00 00 00 f8 7f")
    corrupt("2: NaN", "01 05 01 00 00 00 00 00 f0 ff")
  end)

  it("CORRUPT of a key that can't be one", function()
    for _, tag in ipairs({ "01", "04", "06", "07", "09", "0a", "0b", "f4" }) do
      corrupt("3: not a key", "01 06 00 " .. tag .. " 21 00")
    end
    corrupt("4: NaN", "01 06 00 05 00 00 00 00 00 00 f8 7f 21 00")
    corrupt("3: a float as a key", "01 06 00 05 00 00 00 00 00 00 f0 3f 21 00")
    corrupt("3: a float as a key", "01 06 00 05 00 00 00 00 00 00 00 80 21 00")
    corrupt("3: a float as a key", "01 06 00 05 00 00 00 00 00 00 e0 c3 21 00")
  end)

  it("CORRUPT of a key that is there twice, or out of order", function()
    corrupt("6: a key out of order", "01 06 00 b1 61 21 b1 61 21 00")
    corrupt("6: a key out of order", "01 06 00 b1 62 21 b1 61 21 00")
    corrupt("7: a key out of order", "01 06 00 b2 61 61 21 b1 61 21 00")
    corrupt("5: a key out of order", "01 06 00 23 21 23 21 00")
    corrupt("5: a key out of order", "01 06 00 23 21 20 21 00")
    corrupt("5: a key out of order", "01 06 00 03 21 02 21 00")
    corrupt("6: a key out of order", "01 06 00 b1 61 21 23 21 00")
    corrupt("13: a key out of order", "01 06 00 05 00 00 00 00 00 00 e0 3f 21 05 00 00 00 00 00 00 e0 bf 21 00")
  end)

  it("CORRUPT of an item among the keys", function()
    corrupt("3: a key that is an item's", "01 06 00 21 21 00")
    corrupt("5: a key that is an item's", "01 06 2a 2a 00 21 21 00")
    corrupt("5: a key that is an item's", "01 06 2a 2a 00 23 21 00")
  end)

  it("CORRUPT of a reference to nothing that came before", function()
    corrupt("2: the number of something before", "01 0a 20")
    corrupt("3: the number of something before", "01 06 0a 21 00 00")
    corrupt("3: the number of something before", "01 06 0a a8 00 00 00")
    corrupt("3: the number of something before", "01 06 0a b0 00 00")
    corrupt("3: the number of something before", "01 06 0a a7 ff ff ff ff ff ff ff 7f 00 00")
  end)

  it("CORRUPT of tables nested deeper than 128", function()
    assert.is_table(core.dump_decode("\1" .. ("\6"):rep(128) .. ("\0"):rep(256)))
    corrupt("129: nested deeper", "01" .. ("06"):rep(129) .. ("00"):rep(258))
    corrupt("129: nested deeper", "01" .. ("06"):rep(1000000))
  end)

  it("CORRUPT of bytecode that is no string", function()
    corrupt("2: the bytecode", "01 09 21")
    refused("UNSUPPORTED", "functions = true", "01 09 b1 1b")
  end)

  it("CORRUPT wherever a dump is cut off", function()
    local value = { 1, 300, -70000, 0 / 0, 0.5, "text", ("long"):rep(20), { true }, [0.25] = {}, name = false }
    value.me = value
    local bytes = core.dump_encode(value)
    for size = 0, #bytes - 1 do
      assert.matches("it ends too early", fails("CORRUPT", core.dump_decode(bytes:sub(1, size))))
    end
  end)

  it("or bytes of another value, whichever byte is changed", function()
    local value = { 1, 300, -70000, 0 / 0, "text", { true }, [0.25] = {}, name = false, [-3] = ("b"):rep(70) }
    value.me = value
    local bytes = core.dump_encode(value)
    local accepted = 0
    for i = 2, #bytes do
      for _, change in ipairs({ 1, 0x7F, 0x80, 0xFE }) do
        local changed = bytes:sub(1, i - 1) .. string.char((bytes:byte(i) + change) % 256) .. bytes:sub(i + 1)
        local read, message, code = core.dump_decode(changed)
        if message == nil then accepted = accepted + 1 end
        if message ~= nil then
          assert.is_true(code == "CORRUPT" or code == "UNSUPPORTED" or code == "RANGE")
        elseif math.type then
          assert.equal(hex_of(changed), hex_of(core.dump_encode(read)))
        end
      end
    end
    assert.is_true(accepted > 0)
  end)
end)
