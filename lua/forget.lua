-- Takes a person out of the lanes of a product: as the last one settled, and as the one who blocks the round.
--
-- Invariant: only the name goes. Nothing is logged: the caller takes it out of MySQL after what was logged before.
--
-- KEYS[1..] {ns:P}:lane:<id>:<channel> hash; per channel
-- ARGV[1] user id
--
-- Reply forgotten   no lane names them any more
-- Reply unknown     nothing was written: no lane named them
-- Cost: O(channels).

local named = {}
for _, key in ipairs(KEYS) do
  for _, field in ipairs({ 'last_user', 'blocked_user' }) do
    if redis.call('HGET', key, field) == ARGV[1] then
      named[#named + 1] = { key, field }
    end
  end
end
for _, name in ipairs(named) do
  redis.call('HSET', name[1], name[2], '')
end
return { #named > 0 and 'forgotten' or 'unknown' }
