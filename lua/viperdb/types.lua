---@meta _
-- The types of viperdb, for readers and editors; nothing loads this file.
-- luacheck: ignore 212 241

---A key. A float with the value of an integer is the same key as that integer, as in a Lua table.
---@alias viperdb.Key string|number|boolean

---Why a call failed.
---@alias viperdb.Code
---| "CORRUPT" # What is on disk is damaged.
---| "IO" # The operating system refused a call.
---| "FULL" # No space is left, or a quota is used up.
---| "READONLY" # The store was opened read-only, or became so after a failed sync.
---| "CLOSED" # The store is closed.
---| "TYPE" # A value of this type can't be stored.
---| "RANGE" # A number that can't be stored, or that this Lua can't hold exactly.
---| "TOO_BIG" # A key, a value or a nesting is over its limit.
---| "UNSUPPORTED" # A folder, a file system or an encoding that this build doesn't read.
---| "BUSY" # Another process, or a call on this store that is not over yet, holds what is needed.
---| "CONFLICT" # Others wrote what was read, in every try; or the progress function stopped the work.
---| "NO_MEMORY" # Memory ran out.

---@class viperdb
---@field null userdata JSON's null: the NULL pointer, as `cjson.null` and `ngx.null`; in Neovim `vim.NIL`.
---@field _VERSION string
local viperdb = {}

---@class viperdb.OpenOptions
---When writes go to the disk. "os", the default: when the operating system likes; a write that returned
---survives the process. "always": before the call returns; it survives power loss. A number: every so many
---seconds.
---@field sync? "os"|"always"|number
---Seconds that a call may wait for other processes before it is `BUSY`: 5 if not given.
---@field wait? number
---Never write to the folder, which must exist.
---@field readonly? boolean
---Functions may be stored and loaded: only for stores that you trust as you trust code.
---@field functions? boolean
---What a Lua without integers reads in place of an integer that it can't hold exactly: the nearest float,
---or the digits. Without this option reading one is the error RANGE.
---@field integers? "float"|"string"
---Writes do slices of a reclaim when this part of the logs is dead, and both together have at least 16 MiB:
---between 0 and 1. Without it only the call does.
---@field reclaim? number

---Opens the store in the folder `path`, which is made when it is not there.
---@param path string
---@param options? viperdb.OpenOptions
---@return viperdb.Store? store
---@return string? message
---@return viperdb.Code? code
function viperdb.open(path, options) end

---Writes all that is good in the folder `path` to a new store in `target`; `path` stays as it is.
---@param path string
---@param target string
---@param options? viperdb.CheckOptions
---@return true|integer? problems True when everything was good, else how many places are damaged.
---@return string[]|string? list The first 1000 of them, or the message.
---@return viperdb.Code? code
function viperdb.repair(path, target, options) end

---How objects of a class are stored.
---@class viperdb.Class
---@field dump fun(object: any): any Returns a plain value to store in place of the object.
---@field load fun(value: any): any Returns the object of that value.

---Objects with this metatable can be stored from now on, and come back with it.
---@param name string
---@param metatable table
---@param class? viperdb.Class
function viperdb.register(name, metatable, class) end

---The same store without methods: every name is a key. Indexing raises on failure.
---@class viperdb.Table: userdata
---@field [viperdb.Key] any

---An open store. `db.name`, `db.name = value`, `#db` and, from Lua 5.2 on, `pairs(db)` do what they do
---with a table, and raise on failure. The names of methods win over keys; `db:get`, `db:set` and
---`db:table()` take every key. Calls return nil, message, code on failure, and raise when an argument has
---the wrong type.
---@class viperdb.Store: userdata
---@field [viperdb.Key] any
local Store = {}

---@param key viperdb.Key
---@return any value Nil when the key is absent. A JSON null is `viperdb.null`. In Neovim JSON's `{}` is what
---`vim.empty_dict()` returns.
---@return string? message
---@return viperdb.Code? code
function Store:get(key) end

---@class viperdb.SetOptions
---@field ttl? number Seconds from now until the key is absent; `math.huge` is never.
---@field expiration? number The same as a moment: milliseconds since the epoch.

---Stores the value; nil deletes. Without options the key doesn't expire, whatever it did before.
---@param key viperdb.Key
---@param value any
---@param options? viperdb.SetOptions
---@return true? done
---@return string? message
---@return viperdb.Code? code
function Store:set(key, value, options) end

---As `set` with the option `expiration`.
---@param key viperdb.Key
---@param value any
---@param expiration number Milliseconds since the epoch.
---@return true? done
---@return string? message
---@return viperdb.Code? code
function Store:set_with_expiration(key, value, expiration) end

---@param key viperdb.Key
---@return boolean? was_there
---@return string? message
---@return viperdb.Code? code
function Store:delete(key) end

---@param key viperdb.Key
---@return boolean? is_there
---@return string? message
---@return viperdb.Code? code
function Store:has(key) end

---Stores the value when the key is absent.
---@param key viperdb.Key
---@param value any Not nil.
---@param options? viperdb.SetOptions
---@return boolean? was_absent
---@return string? message
---@return viperdb.Code? code
function Store:add(key, value, options) end

---Stores the value when the key is there. As with `set`, it doesn't expire then, whatever it did before.
---@param key viperdb.Key
---@param value any Not nil.
---@param options? viperdb.SetOptions
---@return boolean? was_there
---@return string? message
---@return viperdb.Code? code
function Store:replace(key, value, options) end

---@class viperdb.RetryOptions
---@field tries? number How often to start again when others write what was read; 100 without it.

---Replaces the value by what the function makes of it; nil, on both sides, is an absent key. Nothing that
---others write is lost: when the key was written meanwhile the function is called again, with what it is
---then. The expiration stays. When the function raises nothing is written. It may use the store, but its
---own write of the same key makes every try a conflict.
---@param key viperdb.Key
---@param change fun(old: any): any Must return something: nil deletes.
---@param options? viperdb.RetryOptions
---@return any new
---@return string? message
---@return viperdb.Code? code
function Store:update(key, change, options) end

---Adds to a number. Integers stay integers; a sum that this Lua doesn't count exactly (beyond 64 bits, or
---2^53 where numbers are floats) or that is not finite is the error RANGE, a value that is not a number
---the error TYPE. The expiration stays.
---@param key viperdb.Key
---@param by? number 1 without it.
---@param init? number What an absent key counts as; 0 without it.
---@return number? new
---@return string? message
---@return viperdb.Code? code
function Store:incr(key, by, init) end

---Replaces the value when it is the old one; nil, on both sides, is an absent key. Values are compared as
---they are stored, byte by byte: a table is equal to the one that `get` returned, but perhaps not to one
---with the same fields that was made in another way. The expiration stays.
---@param key viperdb.Key
---@param old any
---@param new any
---@return boolean? replaced
---@return string? message
---@return viperdb.Code? code
function Store:cas(key, old, new) end

---The store as it was at one moment, with this transaction's own writes on top. `tx.name` and `tx.name =
---value` are as with the store and raise on failure; names of the store's methods are no keys here either.
---It is refused when its function has ended.
---@class viperdb.Transaction: userdata
---@field [viperdb.Key] any
local Transaction = {}

---@param key viperdb.Key
---@return any value
---@return string? message
---@return viperdb.Code? code
function Transaction:get(key) end

---@param key viperdb.Key
---@param value any
---@param options? viperdb.SetOptions
---@return true? done
---@return string? message
---@return viperdb.Code? code
function Transaction:set(key, value, options) end

---@param key viperdb.Key
---@return boolean? was_there
---@return string? message
---@return viperdb.Code? code
function Transaction:delete(key) end

---@param key viperdb.Key
---@return boolean? is_there
---@return string? message
---@return viperdb.Code? code
function Transaction:has(key) end

---Calls the function and writes what it wrote as one batch: all of it is there, also after a crash, or
---none. When a key that it read was written meanwhile nothing is written and it is called again, so it
---should do nothing that can't be done twice. When it raises, nothing is written and the error passes.
---What it does with `db` in place of `tx` is no part of the transaction. A store handle runs one
---transaction at a time: one inside another raises.
---@param body fun(tx: viperdb.Transaction): ...
---@param options? viperdb.RetryOptions
---@return any ... What the function returns, or true when that is nothing; on failure nil, message and code.
function Store:transaction(body, options) end

---@param key viperdb.Key
---@return number? seconds Until it is absent: `math.huge` when it never will be, nil when it is.
---@return string? message
---@return viperdb.Code? code
function Store:ttl(key) end

---Lets the key expire; its value stays.
---@param key viperdb.Key
---@param seconds number From now; `math.huge` is never.
---@return boolean? is_there
---@return string? message
---@return viperdb.Code? code
function Store:expire(key, seconds) end

---Lets the key expire no longer.
---@param key viperdb.Key
---@return boolean? is_there
---@return string? message
---@return viperdb.Code? code
function Store:persist(key) end

---Walks over what is there now, in the order of the last write, whatever is written meanwhile. Raises on
---failure; the next step then goes on behind what failed. Works in every Lua: `for key, value in
---db:pairs() do`.
---@return fun(): viperdb.Key?, any
function Store:pairs() end

---As `pairs`, without the values.
---@return fun(): viperdb.Key?
function Store:keys() end

---For names that come from outside.
---@return viperdb.Table
function Store:table() end

---@class viperdb.ReclaimOptions: viperdb.CheckOptions
---@field budget? number Seconds after which the call returns; the next one goes on.

---Rewrites the files without what was overwritten, deleted or expired, while everybody reads and writes on.
---@param options? viperdb.ReclaimOptions
---@return boolean? result True when it is done; with a budget, whether there is more to do.
---@return string? message
---@return viperdb.Code? code
function Store:reclaim(options) end

---Returns when all that was written is on the disk.
---@return true? done
---@return string? message
---@return viperdb.Code? code
function Store:sync() end

---@class viperdb.Stats
---@field keys integer Keys with a value, expired ones that were not reclaimed yet included.
---@field key_log_bytes integer Length of the key log.
---@field key_log_live integer Of these, bytes in use.
---@field value_log_bytes integer Length of the value log.
---@field value_log_live integer Of these, bytes in use.
---@field reclaimable integer Bytes of both logs that a reclaim would free.
---@field index_bytes integer Length of the index.
---@field index_slots integer Slots in use; deleted keys keep theirs until `reclaim`.
---@field index_load number Slots in use / slots there are.
---@field generation integer Counts reclaims.
---@field synced_key_log integer Length of the key log that is known to be on the disk.
---@field last_sync integer Milliseconds since the epoch; 0 is never.
---@field last_reclaim integer Milliseconds since the epoch; 0 is never.
---@field boot string The kernel's boot id under which the control page was made.

---@return viperdb.Stats? stats
---@return string? message
---@return viperdb.Code? code
function Store:stats() end

---@class viperdb.CheckOptions
---Called now and then with bytes of the key log, and for each damaged place with its description. False
---stops the work with CONFLICT. The store that is checked can't be used in it.
---@field progress? fun(done: integer, total: integer, problem: string?): boolean?

---Reads everything.
---@param options? viperdb.CheckOptions
---@return true|integer? problems True when nothing is damaged, else how many places are.
---@return string[]|string? list The first 1000 of them, or the message.
---@return viperdb.Code? code
function Store:check(options) end

---Closing a closed store does nothing.
---@return true? done
---@return string? message
---@return viperdb.Code? code
function Store:close() end

return viperdb
