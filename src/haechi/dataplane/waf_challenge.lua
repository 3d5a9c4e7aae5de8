-- What a browser must do before it is let through: run a script, or drag a slider. Who has done it keeps a cookie that holds for its
-- address, browser and host for 30 to 60 minutes. The key is made when nginx starts and outlives reloads.
local M = {}
local COOKIES = { js = "acw_sc__v2", captcha = "acw_sc__v3" }
local SECONDS = 1800
local HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
  .. '<title>One moment</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222}'
  .. 'input{width:100%%}</style>'
local KEEP = "<script>function keep(){document.cookie='%s='+'%s'.split('').reverse().join('')+';path=/;max-age=3600;SameSite=Lax';"
  .. "location.reload()}</script>"
local PAGES = {
  js = HEAD .. "<p>One moment, please. 잠시만 기다려 주십시오.</p>" .. KEEP .. "<script>keep()</script></html>",
  captcha = HEAD .. '<p><label for="slider">Please drag the slider to the right end. 슬라이더를 오른쪽 끝까지 밀어 주십시오.</label></p>'
    .. '<input id="slider" type="range" value="0" max="100">' .. KEEP
    .. "<script>slider.oninput=function(){if(slider.value==100)keep()}</script></html>",
}

function M.load()
  local file = assert(io.open("/dev/urandom", "rb"))
  ngx.shared.waf_counts:add("challenge key", file:read(32))
  file:close()
end

local function token(kind, period)
  local who = { kind, ngx.var.remote_addr, ngx.var.http_user_agent or "", ngx.var.host, period }
  local digest = ngx.hmac_sha1(ngx.shared.waf_counts:get("challenge key"), table.concat(who, "\n"))
  return (digest:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

function M.done(kind)
  local kept = ngx.var["cookie_" .. COOKIES[kind]]
  if not kept then return false end
  local period = math.floor(ngx.time() / SECONDS)
  return kept == token(kind, period) or kept == token(kind, period - 1)
end

function M.ask(kind)
  ngx.status = 200
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  ngx.print(PAGES[kind]:format(COOKIES[kind], token(kind, math.floor(ngx.time() / SECONDS)):reverse()))
  return ngx.exit(200)
end

return M
