-- Takes a consumer without a process out of the workers' group of a stream.
--
-- Invariant: nothing that is pending is dropped with it, and nobody who gave a sign of life lately is taken out. A
-- consumer that comes back after all is made anew by its next read.
--
-- KEYS[1] {ns:P}:jobs:<channel> or {ns:P}:jobs:<channel>:again   stream
-- ARGV[1] the consumer
-- ARGV[2] the least time since its last sign of life, ms
--
-- Reply dropped   it is gone
-- Reply kept      nothing was written: something is pending for it, or it lives, or there is none of that name
-- Cost: O(consumers).

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], 'workers')
if consumers.err then
  return { 'kept' }
end
for _, flat in ipairs(consumers) do
  local fields = {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  if fields.name == ARGV[1] and fields.pending == 0 and fields.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[1])
    return { 'dropped' }
  end
end
return { 'kept' }
