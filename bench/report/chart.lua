-- chart: horizontal bars in SVG, one panel beside the other, each from zero. The numbers stand at the bars.

local chart = {}

local row_height, bar_height, name_width, gap, head_height = 26, 16, 170, 16, 62

local colors = { ours = "#1a7f37", safe = "#57606a", floor = "#b6bec9", unsafe = "#d4a72c" }

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function escape(content) return (content:gsub("[&<>]", entities)) end

local function text(x, y, content, extra)
  return ('<text x="%d" y="%d" %s>%s</text>'):format(x, y, extra or "", escape(content))
end

local function number(value)
  if value < 10 then return ("%.1f"):format(value) end
  local digits = ("%.0f"):format(value)
  local replaced
  repeat digits, replaced = digits:gsub("^(%d+)(%d%d%d)", "%1,%2") until replaced == 0
  return digits
end

local function greatest(rows, panel)
  local most = 0
  for _, row in ipairs(rows) do most = math.max(most, row.values[panel] or 0) end
  return most
end

local function draw_panel(out, rows, panel, title, panel_width)
  local left = name_width + (panel - 1) * (panel_width + gap)
  local most = greatest(rows, panel)
  out[#out + 1] = text(left, head_height - 10, title, 'font-weight="bold"')
  for i, row in ipairs(rows) do
    local value = row.values[panel]
    local y = head_height + (i - 1) * row_height
    if value then
      local width = math.max(1, value / most * (panel_width - 70))
      local bar = '<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
      out[#out + 1] = bar:format(left, y, width, bar_height, colors[row.kind])
      out[#out + 1] = text(math.floor(left + width + 6), y + 13, number(value))
    end
  end
end

-- rows: { {name =, kind = "ours" | "safe" | "unsafe" | "floor", values = {one a panel}} }, panels: their
-- titles.
function chart.draw(title, rows, panels, note)
  local panel_width = #panels > 2 and 200 or 330
  local width = name_width + #panels * (panel_width + gap)
  local height = head_height + #rows * row_height + 30
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"'):format(width, height)
      .. ' font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="#1f2328">',
    ('<rect width="%d" height="%d" fill="#ffffff"/>'):format(width, height),
    text(12, 24, title, 'font-size="16" font-weight="bold"'),
  }
  for i, row in ipairs(rows) do
    local weight = row.kind == "ours" and ' font-weight="bold"' or ""
    out[#out + 1] = text(name_width - 10, head_height + (i - 1) * row_height + 13, row.name,
      'text-anchor="end"' .. weight)
  end
  for i, panel in ipairs(panels) do draw_panel(out, rows, i, panel, panel_width) end
  out[#out + 1] = text(12, height - 10, note, 'font-size="11" fill="#57606a"')
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

return chart
