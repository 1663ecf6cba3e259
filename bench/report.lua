-- Makes tables and pictures of what bench/run.lua measured:
--
--   lua5.4 bench/report.lua RESULTS
--
-- RESULTS is the folder with the files of one number of keys. Writes report.md with its pictures there. Then
-- fills docs/BENCHMARKS.md: what stands there
-- between `<!-- table NAME KEYS -->` or `<!-- picture NAME KEYS -->` and `<!-- end -->` is replaced, if KEYS
-- is how many keys were measured. So a run with other keys, as to try something, leaves the page alone.

package.path = "bench/report/?.lua;" .. package.path

local results = require("results").read(assert(arg[1], "usage: bench/report.lua RESULTS"))
local tables = require("tables")
local pictures = require("pictures")

local folder = arg[1]
local keys = assert(results.machine.keys, "there are no results in " .. arg[1])

local function read_all(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function write_all(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Writes a picture as SVG and PNG; returns its name, or nil when there is nothing to draw.
local function draw(name, target)
  local svg = pictures[name](results)
  if not svg then return nil end
  local base = ("%s-%s"):format(name, keys)
  write_all(("%s/%s.svg"):format(target, base), svg)
  os.execute(("rsvg-convert --zoom=2 -o '%s/%s.png' '%s/%s.svg'"):format(target, base, target, base))
  return base
end

local function picture(name, target, prefix)
  local base = draw(name, target)
  return base and ("![%s](%s%s.svg)"):format(name, prefix, base)
end

local order = {
  "machine", "settings", "kill", "writing", "reading", "ycsb", "unsafe_writing", "unsafe_reading",
  "unsafe_ycsb", "disk", "unsafe_disk", "fill", "unsafe_fill", "size", "space", "latency", "open",
  "processes", "readers", "lua5.4", "luajit", "original", "nginx", "http", "floors",
}

local function write_report()
  local out = { ("# %s keys\n"):format(keys) }
  for _, name in ipairs(order) do
    out[#out + 1] = ("## %s\n\n%s\n"):format(name, tables[name](results) or "nothing")
  end
  for _, name in ipairs(pictures.names) do out[#out + 1] = picture(name, folder, "") end
  write_all(folder .. "/report.md", table.concat(out, "\n") .. "\n")
end

local function section(kind, name)
  if kind == "table" then return tables[name] and tables[name](results) end
  os.execute("mkdir -p docs/benchmarks")
  return pictures[name] and picture(name, "docs/benchmarks", "benchmarks/")
end

local function fill(page)
  local changed = 0
  local text = read_all(page):gsub("(<!%-%- (%l+) (%S+) (%d+) %-%->\n)(.-)(<!%-%- end %-%->)",
    function(head, kind, name, wanted, before, tail)
      local content = wanted == keys and section(kind, name)
      if not content then return head .. before .. tail end
      changed = changed + 1
      return head .. "\n" .. content .. "\n\n" .. tail
    end)
  if changed > 0 then write_all(page, text) end
  return changed
end

write_report()
local changed = fill("docs/BENCHMARKS.md")
print(("%s/report.md is written, %d parts of docs/BENCHMARKS.md are new"):format(folder, changed))
