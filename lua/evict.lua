-- Forgets a product that nobody works on and that MySQL knows in full.
--
-- Invariant: nothing is forgotten that MySQL does not hold: the stamps must be those that the caller read there.
--
-- include shared/server.lua
--
-- KEYS[1] {ns:P}:product:<id>  hash
-- KEYS[2] {ns:P}:products      zset
-- KEYS[3..] {ns:P}:lane:<id>:<channel> hash; per channel
-- ARGV[1] product id
-- ARGV[2] the product's stamp in MySQL, `epoch:version`
-- ARGV[3..] per lane: its stamp in MySQL, or empty when MySQL has none
--
-- Reply evicted   gone
-- Reply kept      nothing was written: it is being worked on, or MySQL does not have all of it
-- Cost: O(channels).

local function stamp(fields)
  return (fields.epoch or '') .. ':' .. (fields.version or '')
end

local product = read_hash(KEYS[1])
if product.stock and stamp(product) ~= ARGV[2] then
  return { 'kept' }
end
for i = 3, #KEYS do
  local fields = read_hash(KEYS[i])
  local open = fields.status == 'QUEUED' or fields.status == 'IN_PROGRESS'
  if fields.status and (open or stamp(fields) ~= ARGV[i]) then
    return { 'kept' }
  end
end
redis.call('DEL', KEYS[1], unpack(KEYS, 3))
redis.call('ZREM', KEYS[2], ARGV[1])
return { 'evicted' }
