-- Two workers with one store, while requests come over many connections and processes are killed.
local server = require("spec.nginx.server")
local load = require("spec.nginx.load")

-- SOAK=10 in the environment is ten times as long as usual.
local rounds = 60 * (tonumber(os.getenv("SOAK")) or 1)

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

    -- Counts in rounds; returns the numbers that were answered, in order.
    local function count(depth, disturb)
      local numbers = {}
      for round = 1, rounds do
        local calls = round % 10 == 0 and disturb
        for _, number in ipairs(clients:increment(depth, calls)) do numbers[#numbers + 1] = number end
      end
      table.sort(numbers)
      return numbers
    end

    local function expect_one_to(last, numbers)
      assert.equal(last, #numbers)
      for i = 1, last do assert.equal(i, numbers[i]) end
    end

    it("both read at once what one of them has acknowledged", function()
      for _ = 1, rounds do clients:round(5) end
      assert.equal(0, clients.broken)
      assert.equal(rounds * 40, clients.acknowledged)
      expect_nothing_wrong()
    end)

    it("count without losing one or giving a number twice", function()
      expect_one_to(rounds * 8 * 30, count(30))
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

    -- A request that a reload meets on an idle connection is not read at all.
    it("count what they answered, and nothing else, over reloads", function()
      local numbers = count(1, function() service:reload() end)
      expect_one_to(#numbers, numbers)
      assert.equal(tostring(#numbers), service:ask("GET", "/keys/" .. clients.name).body)
    end)

    it("count all they answered when one of them is killed", function()
      local numbers = count(10, function()
        server.kill_worker(clients.connections[math.random(8)].worker)
      end)
      assert.is_true(clients.broken > 0)
      for i = 2, #numbers do assert.is_true(numbers[i] > numbers[i - 1], "a number was answered twice") end
      assert.is_true(numbers[#numbers] <= rounds * 80)
    end)

    it("log no error of the store", function()
      assert.is_nil(service:log():match("[^\n]*%[error%][^\n]*"))
    end)
  end)
end
