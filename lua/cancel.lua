-- Ends a round, and the one that waits behind it, by somebody's wish.
--
-- Invariant: a held lane is only told: its owner settles what is in flight and ends it. A round that waits was
-- never begun and is ended at once.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:log                  stream
-- KEYS[3] {ns:P}:jobs:<channel>       stream
-- KEYS[4] {ns:P}:jobs:<channel>:again stream
-- KEYS[5] {ns:P}                      stop signal, a sharded channel
-- KEYS[6] {ns:P}:call:<call>          string
-- KEYS[7] {ns:P}:product:<id>         hash
-- ARGV[1] the reason, for people; not empty
--
-- Reply canceled <round>   the round has ended as CANCELED_BY_ADMIN; or did so under this call before
-- Reply told <round>       its owner ends it when what is in flight is settled
-- Reply nothing            nothing was written: no round is open
-- Reply absent             nothing was written: check the product against MySQL
-- Reply aged               nothing was written: check the product against MySQL
-- Cost: O(1).

local before = redis.call('GET', KEYS[6])
if before then
  return cjson.decode(before)
end
local product = read_hash(KEYS[7])
local refusal = distrust(product.stock, product.run)
if refusal then
  return { refusal }
end
local lane = open_lane(KEYS[1], KEYS[3], KEYS[4], KEYS[2])
if not is_open(lane) then
  return { 'nothing' }
end

local now_us, now_ms = now()
local round = lane.fields.round
if lane.fields.waiting ~= '' then
  log_unbegun(lane, lane.fields.waiting, 'CANCELED_BY_ADMIN', lane.fields.waiting_at, now_us,
    'canceled while waiting')
  put(lane, 'waiting', '')
end
local reply
if is_leased(lane, now_ms) then
  put(lane, 'cancel', ARGV[1])
  lane.late = { 'SPUBLISH', KEYS[5], lane.fields.product }
  reply = { 'told', round }
else
  end_round(lane, 'CANCELED_BY_ADMIN', ARGV[1], '', now_us)
  reply = { 'canceled', round }
end
redis.call('SET', KEYS[6], cjson.encode(reply), 'PX', 60000)
save(lane)
return reply
