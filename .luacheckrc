-- What every Lua from 5.1 to 5.4 and LuaJIT has, and nothing more.
std = "min"
max_line_length = 110
-- Only some have these: a program asks whether they are there.
read_globals = { "jit", math = { fields = { "type", "tointeger", "maxinteger", "mininteger" } } }
exclude_files = { "build", "viperdb" }

-- Specs have tables of cases, with texts and what becomes of them.
files["spec"] = { max_line_length = 140 }
files["spec/**/*_spec.lua"] = { std = "min+busted", read_globals = { debug = { fields = { "upvalueid" } } } }
files["lua/resty"] = { read_globals = { "ngx" } }
files["examples/openresty"] = { read_globals = { "ngx" } }
files["bench/nginx"] = { read_globals = { "ngx" } }
files["examples/neovim"] = { read_globals = { "vim" } }
files["examples/openresty"] = { globals = { "ngx" } }
files["lua/viperdb/health.lua"] = { read_globals = { "vim" } }
files["examples/neovim"] = { read_globals = { "vim" } }
files["spec/nvim"] = { read_globals = { "vim" } }
files["tools"] = { std = "lua54" }
files[".luacheckrc"] = { std = "luacheckrc" }
