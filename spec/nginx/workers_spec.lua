-- Two workers with one store, while requests come over many connections and processes are killed.
local server = require("spec.nginx.server")
local load = require("spec.nginx.load")

local rounds = os.getenv("SOAK") and 5000 or 60

for _, open_in in ipairs({ "init_worker_by_lua", "init_by_lua" }) do
  describe("two workers with a store opened in " .. open_in, function()
    local service, clients
    local tests = 0
    setup(function()
      math.randomseed(os.time())
      service = server.new(open_in)
      service:start()
    end)
    teardown(function() service:remove() end)
    before_each(function()
      tests = tests + 1
      clients = load.new(service, "test" .. tests, 8, 100)
      clients:connect()
    end)

    local function expect_nothing_wrong()
      clients:read_all()
      assert.same({}, clients.wrong)
    end

    it("both read at once what one of them has acknowledged", function()
      for _ = 1, rounds do clients:round(5) end
      assert.equal(0, clients.broken)
      assert.equal(rounds * 40, clients.acknowledged)
      expect_nothing_wrong()
    end)

    it("lose nothing that was acknowledged when one of them is killed", function()
      for round = 1, rounds do
        clients:round(10, round % 5 == 0 and function()
          server.kill_worker(clients.connections[math.random(8)].worker)
        end)
      end
      assert.is_true(clients.broken > 0)
      expect_nothing_wrong()
    end)

    it("lose nothing that was acknowledged when nginx is killed as a whole", function()
      for round = 1, rounds do
        clients:round(10, round % 20 == 0 and function()
          service:kill()
          service:start()
        end)
      end
      assert.is_true(clients.broken > 0)
      expect_nothing_wrong()
    end)

    it("lose no acknowledged request and no write on a reload", function()
      for round = 1, rounds do
        clients:round(1, round % 5 == 0 and function() service:reload() end)
      end
      expect_nothing_wrong()
    end)

    it("log no error of the store", function()
      assert.is_nil(service:log():match("[^\n]*%[error%][^\n]*"))
    end)
  end)
end
