-- Deletes from the log what MySQL has, as a whole: to look for each entry costs more than to write it.
--
-- Invariant: nothing is deleted that the caller has not read. The server is what it was when the log was read, and the log
-- begins with the first entry read: so what stands there up to the last one is what was read, since ids only grow.
--
-- include shared/server.lua
--
-- KEYS[1] {ns:P}:log   stream
-- KEYS[2] {ns:P}:meta  hash
-- ARGV[1] incarnation of the log when it was read
-- ARGV[2] the server's time as a primary when it was read
-- ARGV[3] first entry read
-- ARGV[4] last entry read
--
-- Reply trimmed  they are gone
-- Reply other    nothing was written: delete each by its id
-- Cost: O(nodes of the stream); a node has up to a hundred entries or 4 KiB, unless the server is told otherwise.

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[3] or redis.call('HGET', KEYS[2], 'incarnation') ~= ARGV[1] or server_run() ~= ARGV[2] then
  return { 'other' }
end
-- The last by its id, so that the stream knows how far it was deleted: trimming does not say.
redis.call('XDEL', KEYS[1], ARGV[4])
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[4])
return { 'trimmed' }
