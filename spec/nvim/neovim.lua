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
-- take in place of this checkout. Returns a function that waits for its end and returns what it wrote to
-- stdout and stderr.
--
-- A prompt would wait for ever, hence the empty input and the timeout.
function neovim.start(program, arguments, runtime)
  local file = helper.path() .. ".lua"
  helper.write_file(file, program)
  local quoted = {}
  for i, argument in ipairs(arguments or {}) do quoted[i] = ("%q"):format(argument) end
  local call = ("lua assert(loadfile('%s'))(%s)"):format(file, table.concat(quoted, ", "))
  local set = ("cd '%s' && unset LUA_PATH LUA_CPATH && HOME='%s' XDG_DATA_HOME='%s/data' XDG_CACHE_HOME='%s/cache'")
    :format(home, home, home, home)
  local command = ([[%s timeout 120 nvim --headless --clean --cmd 'set rtp^=%s' -c "%s" -c 'qa!' </dev/null 2>&1]])
    :format(set, runtime or root, call:gsub('"', '\\"'))
  local pipe = assert(io.popen(command))
  return function()
    local output = pipe:read("*a"):gsub("\r", "")
    pipe:close()
    return output
  end
end

function neovim.run(...)
  return neovim.start(...)()
end

return neovim
