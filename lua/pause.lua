-- Makes all lanes of a product stand still, or lets them go on.
--
-- Invariant: a held lane is only told: its owner settles what is in flight and parks it. A paused lane that nobody
-- holds has no entry; a lane that is let go on and is open has one.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:product:<id>  hash
-- KEYS[2] {ns:P}:log           stream
-- KEYS[3] {ns:P}:products      zset
-- KEYS[4] {ns:P}               stop signal, a sharded channel
-- KEYS[5..] {ns:P}:lane:<id>:<channel> hash, {ns:P}:jobs:<channel> stream, {ns:P}:jobs:<channel>:again stream; per channel
-- ARGV[1] product id
-- ARGV[2] 1 to pause, empty to go on
--
-- Reply done <open> <held>   so many lanes are open, so many of them park when what is in flight is settled
-- Reply same                 nothing was written: it is so already
-- Reply absent               nothing was written: check the product against MySQL
-- Reply aged                 nothing was written: check the product against MySQL
-- Cost: O(channels).

local product = read_hash(KEYS[1])
local refusal = distrust(product.stock, product.run)
if refusal then
  return { refusal }
end
if (product.paused or '') == ARGV[2] then
  return { 'same' }
end

local _, now_ms = now()
change_product(KEYS[1], KEYS[2], KEYS[3], ARGV[1], product, { paused = ARGV[2] }, now_ms)
local open, held = 0, 0
for at = 5, #KEYS, 3 do
  local lane = open_lane(KEYS[at], KEYS[at + 1], KEYS[at + 2], KEYS[2])
  if lane.fields.status ~= '' then
    put(lane, 'paused', ARGV[2])
    if is_open(lane) then
      open = open + 1
      if is_leased(lane, now_ms) then
        held = held + 1
        if ARGV[2] == '1' then
          lane.late = { 'SPUBLISH', KEYS[4], ARGV[1] }
        end
      elseif ARGV[2] == '1' then
        park(lane, '')
      else
        ensure_entry(lane, 'j')
      end
    end
    save(lane)
  end
end
return { 'done', whole(open), whole(held) }
