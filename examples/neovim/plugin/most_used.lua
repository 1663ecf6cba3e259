-- Counts every file that is read into a buffer; :MostUsed offers the first twenty.
vim.api.nvim_create_autocmd("BufReadPost", {
  callback = function(event) require("most_used").count(event.buf) end,
})
vim.api.nvim_create_user_command("MostUsed", function() require("most_used").choose() end, {})
