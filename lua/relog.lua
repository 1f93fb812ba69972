-- Logs a product's and its lanes' absolute state again, for a MySQL that lost or refused it.
--
-- Invariant: only repeats what Redis holds; the versions rise, so that MySQL takes it.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:product:<id>  hash
-- KEYS[2] {ns:P}:products      zset
-- KEYS[3] {ns:P}:log           stream
-- KEYS[4..] {ns:P}:lane:<id>:<channel> hash; per channel
-- ARGV[1] product id
--
-- Reply logged    everything is in the log again
-- Reply absent    nothing was written: Redis does not hold the product
-- Cost: O(channels).

local product = read_hash(KEYS[1])
if not product.stock then
  return { 'absent' }
end
local _, now_ms = now()
change_product(KEYS[1], KEYS[3], KEYS[2], ARGV[1], product, {}, now_ms)
for i = 4, #KEYS do
  local lane = open_lane(KEYS[i], '', '', KEYS[3])
  if lane.fields.status ~= '' and is_sound(lane) then
    log_round(lane)
    log_waiting(lane)
    save(lane)
  end
end
return { 'logged' }
