-- neovim: instances of Neovim with this checkout on their runtime path and a home folder of their own.
local helper = require("spec.helper")

local neovim = {}

-- The folder of `make nvim`, as Neovim needs it.
local root = os.getenv("PWD")
local home

function neovim.setup()
  home = helper.path()
  os.execute("mkdir -p '" .. home .. "'")
end

neovim.teardown = helper.clean

-- Where the instances have their data: stdpath("data").
function neovim.data()
  return home .. "/data/nvim"
end

-- Starts an instance that runs the Lua program, which finds its arguments in `...`. `runtime` is a folder to
-- take in place of this checkout. Returns a function that waits for the end and returns what the program wrote
-- to stdout; an error in it is one here.
--
-- A prompt would wait for ever, hence the empty input and the timeout.
function neovim.start(program, arguments, runtime)
  local file = helper.path()
  helper.write_file(file .. ".lua", program)
  local quoted = {}
  for i, argument in ipairs(arguments or {}) do quoted[i] = ("[[%s]]"):format(argument) end
  local command = ([[
    cd '%s' && unset LUA_PATH LUA_CPATH && export HOME="$PWD" XDG_DATA_HOME="$PWD/data" XDG_CACHE_HOME="$PWD/cache"
    timeout 120 nvim -n --headless --clean --cmd 'set rtp^=%s' -c 'lua assert(loadfile("%s.lua"))(%s)' -c 'qa!' \
      </dev/null 2>'%s.messages']]):format(home, runtime or root, file, table.concat(quoted, ", "), file)
  local pipe = assert(io.popen(command))
  return function()
    local output = pipe:read("*a")
    pipe:close()
    local messages = helper.read_file(file .. ".messages")
    if messages:find("Error", 1, true) then error(messages) end
    return output
  end
end

function neovim.run(...)
  return neovim.start(...)()
end

return neovim
