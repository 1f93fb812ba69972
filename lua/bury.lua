-- Sets an entry aside that cannot be read, so that it holds back nobody.
--
-- Invariant: an entry leaves its stream only in the call that writes it to the dead stream; the same one is not buried
-- twice, whoever received it.
--
-- include shared/server.lua
-- include shared/lane.lua
--
-- KEYS[1] {ns:P}:jobs:<channel> or {ns:P}:jobs:<channel>:again   stream
-- KEYS[2] {ns:P}:dead:<channel>   stream
-- ARGV[1] id of the entry
-- ARGV[2] the reason, for people
--
-- Reply buried   it stands on the dead stream, with the first 4,000 bytes of what it held
-- Reply gone     nothing was written but its acknowledgement: it was deleted
-- Cost: O(fields of the entry).

local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then
  redis.pcall('XACK', KEYS[1], GROUP, ARGV[1])
  return { 'gone' }
end
local words = {}
for i = 1, #found[1][2], 2 do
  words[#words + 1] = found[1][2][i] .. '=' .. found[1][2][i + 1]
end
redis.call('XADD', KEYS[2], '*', 'reason', ARGV[2], 'at', now(), 'stream', KEYS[1], 'entry', ARGV[1],
  'content', string.sub(table.concat(words, ' '), 1, 4000))
delete_entries(KEYS[1], { ARGV[1] })
return { 'buried' }
