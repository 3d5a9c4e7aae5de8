-- Rules in front of the core rules: exceptions, blacklist, custom rules, rates. Data comes from a JSON file that waf_rules.py writes;
-- nothing a user wrote is ever code. Runs in nginx's rewrite phase, before ModSecurity.
local cjson = require "cjson.safe"
local challenge = require "waf_challenge"
local M = { domains = {} }

local function number_of(address)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a and ((tonumber(a) * 256 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
end

local function in_network(address, spec)
  local at, bits = number_of(address), spec.bits
  if not at then return false end
  local size = 2 ^ (32 - bits)
  return math.floor(at / size) == math.floor(spec.base / size)
end

function M.load(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  M.domains = assert(cjson.decode(text))
  challenge.load()
end

local function body_of()
  ngx.req.read_body()
  local data = ngx.req.get_body_data()
  if data then return data end
  local path = ngx.req.get_body_file()
  local file = path and io.open(path)
  if not file then return "" end
  data = file:read(131072) or ""
  file:close()
  return data
end

local FETCH = {
  url = function() return ngx.var.request_uri end,
  path = function() return ngx.var.uri end,
  query = function() return ngx.var.args end,
  method = function() return ngx.req.get_method() end,
  ip = function() return ngx.var.remote_addr end,
  host = function() return ngx.var.host end,
  agent = function() return ngx.var.http_user_agent end,
  referer = function() return ngx.var.http_referer end,
  type = function() return ngx.var.http_content_type end,
  length = function() return ngx.var.http_content_length end,
  forwarded = function() return ngx.var.http_x_forwarded_for end,
  body = body_of,
  cookie = function(name) return name == "" and ngx.var.http_cookie or ngx.var["cookie_" .. name] end,
  header = function(name)
    local value = ngx.req.get_headers(200)[name]
    return type(value) == "table" and table.concat(value, ", ") or value
  end,
  argument = function(name)
    local value = ngx.req.get_uri_args(200)[name]
    if type(value) == "table" then value = table.concat(value, ", ") end
    return value == true and "" or value
  end,
}

local TEST = {
  eq = function(text, value) return text == value end,
  contain = function(text, value) return text:find(value, 1, true) ~= nil end,
  prefix = function(text, value) return text:sub(1, #value) == value end,
  suffix = function(text, value) return value == "" or text:sub(-#value) == value end,
  regex = function(text, value) return ngx.re.find(text, value, "joi") ~= nil end,
  longer = function(text, value) return #text > tonumber(value) end,
  shorter = function(text, value) return #text < tonumber(value) end,
  above = function(text, value) return (tonumber(text) or 0) > tonumber(value) end,
  below = function(text, value) return (tonumber(text) or 0) < tonumber(value) end,
}

local function meets(condition)
  local text = FETCH[condition.key](condition.name)
  local found = false
  if condition.how == "exists" then
    found = text ~= nil
  elseif condition.how == "in" then
    for _, spec in ipairs(condition.networks) do
      if text and in_network(text, spec) then found = true break end
    end
  elseif text then
    local plain = ngx.unescape_uri(text)
    for _, value in ipairs(condition.values) do
      if TEST[condition.how](text, value) or TEST[condition.how](plain, value) then found = true break end
    end
  end
  return found ~= condition.negate
end

local function holds(rule)
  for _, condition in ipairs(rule.conditions) do
    if not meets(condition) then return false end
  end
  return true
end

local function exceeded(rule)
  local limit = rule.limit
  local who = FETCH[limit.target](limit.name)
  if not who then return false end
  local counts, key = ngx.shared.waf_counts, rule.id .. " " .. who
  if counts:get("held " .. key) then return true end
  local count = counts:incr(key, 1, 0, limit.interval)
  if count and count > limit.threshold then
    counts:set("held " .. key, true, limit.hold)
    return true
  end
  return false
end

local function hit(rule)
  local asks = rule.action == "js" or rule.action == "captcha"
  if asks and challenge.done(rule.action) then return end
  ngx.var.waf_scene, ngx.var.waf_rule, ngx.var.waf_action = rule.scene, tostring(rule.id), rule.action
  if rule.action == "block" then return ngx.exit(405) end
  if asks then return challenge.ask(rule.action) end
end

function M.judge(name)
  ngx.req.clear_header("X-Hx-Skip")
  local skips, header = {}, {}
  for _, rule in ipairs(M.domains[name] or {}) do
    if rule.scene == "white" then
      if holds(rule) then
        for _, what in ipairs(rule.skips) do
          skips[what] = true
          header[#header + 1] = "<" .. what .. ">"
        end
      end
    elseif not (skips.all or skips[rule.scene]) and holds(rule) and (not rule.limit or exceeded(rule)) then
      hit(rule)
    end
  end
  if skips.all or skips.core then return ngx.exec("@plain") end
  if #header > 0 then ngx.req.set_header("X-Hx-Skip", table.concat(header, " ")) end
end

return M
