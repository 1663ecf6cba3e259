rockspec_format = "3.0"
package = "viperdb"
version = "scm-1"
source = {
  url = "git+https://github.com/viperdb/viperdb-lua.git",
}
description = {
  summary = "An embedded key-value store: a folder on disk that behaves like a Lua table",
  detailed = [[
ViperDB keeps Lua values under keys in a folder. Any number of processes read and write one store at once, a
write that returned survives a killed process, and a store opens at once however many keys it has.
It needs a C compiler and nothing else. Linux on 64-bit little-endian machines; Lua 5.1 to 5.4 and LuaJIT.
]],
  homepage = "https://github.com/viperdb/viperdb-lua",
  license = "MIT",
  labels = { "database", "key-value", "persistence", "table" },
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1, < 5.5" }
build = {
  type = "builtin",
  modules = {
    ["viperdb"] = "lua/viperdb/init.lua",
    ["viperdb.core"] = {
      sources = {
        "src/binding/module.c",
      },
    },
  },
  platforms = {
    linux = {
      modules = {
        ["viperdb.core"] = { libraries = { "pthread" } },
      },
    },
  },
}
