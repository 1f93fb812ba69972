-- The end of a script that several calls share: runs it for each of them, one after the other.
--
-- Invariant: each call is answered as if it had come alone, but that the log is as long as the first of them found it; what
-- one of them raises is its own answer. A call of Redis costs more than most of what such a script does, so that those of
-- lanes of one partition that come together are made as one. The script stands above as `run`; `each_key` and `each_arg` say how many KEYS and ARGV a call has.

local replies = {}
gone_together = {}
for call = 0, #all_keys / each_key - 1 do
  KEYS = { unpack(all_keys, call * each_key + 1, (call + 1) * each_key) }
  ARGV = { unpack(all_args, call * each_arg + 1, (call + 1) * each_arg) }
  local done, reply = pcall(run)
  if not done then
    reply = { 'raised', type(reply) == 'table' and reply.err or tostring(reply) }
  end
  replies[#replies + 1] = reply
end
for stream, ids in pairs(gone_together) do
  if not delete_entries(stream, ids) then
    -- A lane that somebody has changed by hand must not keep the entries of others.
    for _, id in ipairs(ids) do
      delete_entries(stream, { id })
    end
  end
end
return replies
