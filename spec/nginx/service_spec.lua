-- The service of examples/openresty, asked for one thing after another.
local server = require("spec.nginx.server")

describe("the service", function()
  local service, client
  setup(function()
    service = server.new("init_worker_by_lua")
    service:start()
    client = service:connect()
  end)
  teardown(function() service:remove() end)

  local function status_of(...) return client:ask(...).status end
  local function body_of(...) return client:ask(...).body end

  it("returns a value as it was put", function()
    local bytes = {}
    for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
    for _, value in ipairs({ "hello", "", "1", "null", '{"a": 1}', table.concat(bytes), ("x"):rep(2 ^ 20) }) do
      assert.equal(204, status_of("PUT", "/keys/value", value))
      local answer = client:ask("GET", "/keys/value")
      assert.equal(200, answer.status)
      assert.is_true(value == answer.body, "a value of " .. #value .. " bytes came back different")
    end
  end)

  it("has no value for a key that was not put or was deleted", function()
    assert.equal(404, status_of("GET", "/keys/absent"))
    assert.equal(404, status_of("DELETE", "/keys/absent"))
    client:ask("PUT", "/keys/deleted", "x")
    assert.equal(204, status_of("DELETE", "/keys/deleted"))
    assert.equal(404, status_of("GET", "/keys/deleted"))
  end)

  it("tells keys apart that differ in one encoded byte", function()
    local paths = { "/keys/a%2Fb", "/keys/a//b", "/keys/a+b", "/keys/a%20b", "/keys/a%3Fb", "/keys/%FF", "/keys/%25" }
    for i, path in ipairs(paths) do client:ask("PUT", path, tostring(i)) end
    for i, path in ipairs(paths) do assert.equal(tostring(i), body_of("GET", path)) end
  end)

  it("lists the keys with a prefix in the order of their last write", function()
    for _, key in ipairs({ "list/b", "list/a", "listed", "list/%2B" }) do client:ask("PUT", "/keys/" .. key, "") end
    client:ask("PUT", "/keys/list/b", "again")
    assert.equal("list%2Fa\nlist%2F%2B\nlist%2Fb\n", body_of("GET", "/keys?prefix=list/"))
    assert.equal("", body_of("GET", "/keys?prefix=nothing"))
  end)

  it("lists any number of keys, and answers other requests meanwhile", function()
    local db = assert(require("viperdb").open(service.folder .. "/store"))
    for i = 1, 5000 do db["many/" .. i] = i end
    db:close()
    local other = service:connect()
    client:send("GET", "/keys?prefix=many/")
    assert.equal(204, other:ask("PUT", "/keys/many/new", "x").status)
    local _, lines = client:receive().body:gsub("many%%2F%d+\n", "")
    assert.equal(5000, lines)
    other:close()
  end)

  it("forgets a key after its seconds to live", function()
    client:ask("PUT", "/keys/short?ttl=0.001", "x")
    client:ask("PUT", "/keys/long?ttl=3600", "x")
    os.execute("sleep 0.01")
    assert.equal(404, status_of("GET", "/keys/short"))
    assert.equal("x", body_of("GET", "/keys/long"))
  end)

  it("counts from 0, and by any number", function()
    assert.equal("1", body_of("POST", "/incr/n"))
    assert.equal("11", body_of("POST", "/incr/n?by=10"))
    assert.equal("8.5", body_of("POST", "/incr/n?by=-2.5"))
    assert.equal("8.5", body_of("GET", "/keys/n"))
    assert.equal("9007199254740991", body_of("POST", "/incr/big?by=9007199254740991"))
    assert.equal(409, status_of("POST", "/incr/big"))
    client:ask("PUT", "/keys/text", "5")
    assert.equal(409, status_of("POST", "/incr/text"))
  end)

  it("shares its store with other programs", function()
    local db = assert(require("viperdb").open(service.folder .. "/store"))
    client:ask("PUT", "/keys/shared", "theirs")
    assert.equal("theirs", db.shared)
    db.shared = "ours"
    assert.equal("ours", body_of("GET", "/keys/shared"))
    db.shared = { "no text" }
    assert.equal(406, status_of("GET", "/keys/shared"))
    db:close()
  end)

  it("says what is wrong with a request", function()
    assert.equal(404, status_of("GET", "/"))
    assert.equal(404, status_of("GET", "/elsewhere/key"))
    assert.equal(405, status_of("POST", "/keys/key", ""))
    assert.equal(400, status_of("PUT", "/keys/key?ttl=soon", ""))
    assert.equal(400, status_of("POST", "/incr/n?by=much"))
  end)

  it("closes the store when it ends, so that nothing has to be repaired", function()
    client:ask("PUT", "/keys/last", "x")
    service:stop()
    assert.is_nil(io.open(service.folder .. "/store/.OPEN"))
    assert.is_nil(service:log():match("%[error%][^\n]*"))
    service:start()
    client = service:connect()
    assert.equal("x", body_of("GET", "/keys/last"))
  end)
end)
