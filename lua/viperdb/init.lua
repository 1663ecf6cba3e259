-- viperdb: an embedded key-value store that behaves like a Lua table.
--
-- The face of the C module viperdb.core. viperdb/types.lua says what each function takes and returns.

local core = require("viperdb.core")

---@type viperdb
return {
  open = core.open,
  repair = core.repair,
  register = core.register,
  null = core.null,
  _VERSION = core._VERSION,
}
