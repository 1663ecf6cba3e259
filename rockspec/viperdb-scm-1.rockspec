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
    ["resty.viperdb"] = "lua/resty/viperdb.lua",
    ["viperdb.health"] = "lua/viperdb/health.lua",
    ["viperdb"] = "lua/viperdb/init.lua",
    ["viperdb.types"] = "lua/viperdb/types.lua",
    ["viperdb.core"] = {
      sources = {
        "src/binding/arguments.c",
        "src/binding/atomic.c",
        "src/binding/bytecode.c",
        "src/binding/class.c",
        "src/binding/draft.c",
        "src/binding/dump_cursor.c",
        "src/binding/dump_keys.c",
        "src/binding/dump_read.c",
        "src/binding/dump_write.c",
        "src/binding/handle.c",
        "src/binding/indexing.c",
        "src/binding/iterator.c",
        "src/binding/json_markers.c",
        "src/binding/json_read.c",
        "src/binding/json_write.c",
        "src/binding/key.c",
        "src/binding/maintenance.c",
        "src/binding/methods.c",
        "src/binding/module.c",
        "src/binding/place.c",
        "src/binding/retry.c",
        "src/binding/scratch.c",
        "src/binding/transaction.c",
        "src/binding/value.c",
        "src/engine/append.c",
        "src/engine/batch.c",
        "src/engine/check.c",
        "src/engine/control.c",
        "src/engine/crc32.c",
        "src/engine/error.c",
        "src/engine/growth.c",
        "src/engine/background.c",
        "src/engine/index.c",
        "src/engine/index_split.c",
        "src/engine/log.c",
        "src/engine/lookup.c",
        "src/engine/os.c",
        "src/engine/reclaim.c",
        "src/engine/record.c",
        "src/engine/record_foreign.c",
        "src/engine/record_key.c",
        "src/engine/recover.c",
        "src/engine/scan.c",
        "src/engine/siphash.c",
        "src/engine/snapshot.c",
        "src/engine/sorter.c",
        "src/engine/store.c",
        "src/engine/swap.c",
        "src/engine/sync.c",
        "src/engine/view.c",
        "src/engine/walk.c",
        "src/engine/write.c",
        "src/text/decimal.c",
        "src/text/escape.c",
        "src/text/number.c",
        "src/text/python_json.c",
        "src/text/utf8.c",
      },
    },
  },
  platforms = {
    linux = {
      modules = {
        ["viperdb.core"] = { libraries = { "m", "pthread" } },
      },
    },
  },
}
