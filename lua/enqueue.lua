-- Accepts one restock of a product: stock + quantity, round + 1, and one entry for each idle lane.
--
-- Invariant: a key counts once per product; a lane has at most one live entry and at most one waiting round.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:product:<id>              hash
-- KEYS[2] {ns:P}:meta                      hash
-- KEYS[3] {ns:P}:log                       stream
-- KEYS[4] {ns:P}:products                  zset
-- KEYS[5] {ns:P}:seen:<id>:<key> or {ns:P}:call:<call>   string
-- KEYS[6..] {ns:P}:lane:<id>:<channel> hash, {ns:P}:jobs:<channel> stream, {ns:P}:jobs:<channel>:again stream; per channel
-- ARGV[1] product id
-- ARGV[2] quantity added to the stock, units
-- ARGV[3] idempotency key, `#<request>`, or empty
-- ARGV[4] id of the row in restock_request, or empty
-- ARGV[5] entries in the log at which nothing is accepted
-- ARGV[6] the enabled channels, `name,…`, in the order of the keys
-- ARGV[7] the most units that a product can have, well below 2^53
-- ARGV[8] W3C traceparent of whoever follows this restock, or empty
--
-- Reply queued <round>       accepted
-- Reply known <round>        accepted before under this key
-- Reply no_stock <stock>     refused: there is nothing to announce
-- Reply above <most>         refused: the stock would be above the most
-- Reply conflict <quantity>  refused: the key was used with this other quantity
-- Reply full                 nothing was written: MySQL is behind
-- Reply channels <names>     nothing was written: these are the enabled channels
-- Reply absent               nothing was written: check the product against MySQL
-- Reply aged                 nothing was written: check the product against MySQL
-- Cost: O(channels).

local REFUSALS = { no_stock = 'no stock to announce', above = 'the stock would be above ' .. ARGV[7] }

local keyed = ARGV[3] ~= ''
local seen = redis.call('GET', KEYS[5])
if seen and not keyed then
  -- A call that was sent twice, perhaps with a restart of the server in between.
  local round = string.match(seen, '^queued:([^:]*):')
  if round then
    return { 'known', round }
  end
end
local product = read_hash(KEYS[1])
local refusal = distrust(product.stock, product.run)
if refusal then
  return { refusal }
end
local enabled = redis.call('HGET', KEYS[2], 'channels')
if enabled and enabled ~= ARGV[6] then
  return { 'channels', enabled }
end

local now_us, now_ms = now()

local function log_request(state, round, reason)
  if keyed then
    redis.call('XADD', KEYS[3], '*', 'k', 'request', 'p', ARGV[1], 'r', round, 'id', ARGV[4], 'key', ARGV[3],
      's', state, 'why', reason)
  end
end

local function remember(verdict, value)
  local text = verdict .. ':' .. value .. ':' .. ARGV[2]
  if keyed then
    redis.call('SET', KEYS[5], text)
  else
    redis.call('SET', KEYS[5], text, 'PX', 60000)
  end
end

if seen then
  local verdict, value, quantity = string.match(seen, '^([^:]*):([^:]*):([^:]*)$')
  if quantity ~= ARGV[2] then
    return { 'conflict', quantity }
  end
  if verdict == 'queued' then
    log_request('ACCEPTED', value, '')
    return { 'known', value }
  end
  log_request('REFUSED', '', REFUSALS[verdict])
  return { verdict, value }
end
if redis.call('XLEN', KEYS[3]) >= tonumber(ARGV[5]) then
  return { 'full' }
end

local function refuse(verdict, value)
  remember(verdict, value)
  log_request('REFUSED', '', REFUSALS[verdict])
  return { verdict, value }
end

local stock = tonumber(product.stock) + tonumber(ARGV[2])
if stock <= 0 then
  return refuse('no_stock', whole(stock))
end
if stock > tonumber(ARGV[7]) then
  return refuse('above', ARGV[7])
end

local round = whole(tonumber(product.round) + 1)
change_product(KEYS[1], KEYS[3], KEYS[4], ARGV[1], product, { stock = whole(stock), round = round }, now_ms)

-- Remembers who follows the round; what is known of the current one must not go with the field that the next one takes.
local function follow(lane, field)
  local current = trace_of(lane)
  if field == 'waiting_trace' and current ~= '' then
    put(lane, 'trace', lane.fields.round .. ' ' .. current)
  end
  local trace = ARGV[8] ~= '' and (round .. ' ' .. ARGV[8]) or ''
  put(lane, field, trace)
end

local at = 6
for channel in string.gmatch(ARGV[6], '[^,]+') do
  local lane = open_lane(KEYS[at], KEYS[at + 1], KEYS[at + 2], KEYS[3])
  at = at + 3
  if lane.fields.status == '' then
    put(lane, 'product', ARGV[1])
    put(lane, 'channel', channel)
    put(lane, 'epoch', product.epoch)
    put(lane, 'paused', product.paused or '')
  end
  local open = is_open(lane)
  if open and lane.fields.started_at ~= '' then
    log_begun(lane)
    if lane.fields.waiting ~= '' then
      log_unbegun(lane, lane.fields.waiting, 'SUPERSEDED', lane.fields.waiting_at, now_us, 'overtaken by round ' .. round)
    end
    put(lane, 'waiting', round)
    put(lane, 'waiting_at', now_us)
    follow(lane, 'waiting_trace')
    log_unbegun(lane, round, 'QUEUED', now_us, '', '')
  else
    if open then
      log_unbegun(lane, lane.fields.round, 'SUPERSEDED', lane.fields.queued_at, now_us, 'overtaken by round ' .. round)
    end
    queue_round(lane, round, now_us)
    follow(lane, 'trace')
    log_round(lane)
    ensure_entry(lane, 'j')
  end
  save(lane)
end
remember('queued', round)
log_request('ACCEPTED', round, '')
return { 'queued', round }
