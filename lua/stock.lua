-- Sets or changes a product's stock, and signals when it is gone.
--
-- Invariant: stock is never below zero, and never above what Lua counts exactly; every change is logged; a change that
-- names a state is made to that state or not at all, so that one that comes late cannot bring back a stock that is gone.
-- No tag comes again while Redis keeps its data, nor after a restart that lost the last of it; one that lost all begins
-- with the state that MySQL has.
--
-- include shared/server.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:product:<id>  hash
-- KEYS[2] {ns:P}:log           stream
-- KEYS[3] {ns:P}:products      zset
-- KEYS[4] {ns:P}               stop signal, a sharded channel
-- KEYS[5] {ns:P}:call:<call>   string
-- ARGV[1] product id
-- ARGV[2] set or add
-- ARGV[3] units
-- ARGV[4] the most units that a product can have, well below 2^53
-- ARGV[5] the tag that the product must have, or empty
--
-- Reply ok <stock> <tag>     the new stock and the tag of that state; or what they were after this call before
-- Reply below <stock>        nothing was written: it would be below zero
-- Reply above <most>         nothing was written: it would be above the most
-- Reply moved <stock> <tag>  nothing was written: the product has changed, and is like this now
-- Reply absent               nothing was written: check the product against MySQL
-- Reply aged                 nothing was written: check the product against MySQL
-- Cost: O(1).

-- First of all: the server may have been restarted between the call and its copy.
local done = redis.call('GET', KEYS[5])
if done then
  local stock, tag = string.match(done, '^(%S+) ?(.*)$')
  return { 'ok', stock, tag }
end
local product = read_hash(KEYS[1])
local refusal = distrust(product.stock, product.run)
if refusal then
  return { refusal }
end
if ARGV[5] ~= '' and ARGV[5] ~= tag_of(product) then
  return { 'moved', product.stock, tag_of(product) }
end
local stock = tonumber(ARGV[3])
if ARGV[2] == 'add' then
  stock = tonumber(product.stock) + stock
end
if stock < 0 then
  return { 'below', product.stock }
end
if stock > tonumber(ARGV[4]) then
  return { 'above', ARGV[4] }
end
local _, now_ms = now()
change_product(KEYS[1], KEYS[2], KEYS[3], ARGV[1], product, { stock = whole(stock) }, now_ms)
redis.call('SET', KEYS[5], whole(stock) .. ' ' .. product.tag, 'PX', 60000)
if stock == 0 then
  redis.pcall('SPUBLISH', KEYS[4], ARGV[1])
end
return { 'ok', whole(stock), product.tag }
