-- The end of a script that several calls share: runs it for each of them, one after the other.
--
-- Invariant: each call is answered as if it had come alone, but that the log is as long as the first of them found it; what
-- one of them raises is its own answer. A call of Redis costs more than most of what such a script does, so that those of
-- lanes that come together are made as one; and each KEYS and ARGV is dear to the client, so that there are few.
--
-- The script stands above as `run`. Of its KEYS the first two, the lane and the product, are a call's own, and the others,
-- `around` of them, those of its partition and channel. Its ARGV are `own` of a call's own, then those that all calls have. Both
-- are the same tables for all calls; `take_own` puts what a call's text has into the first ARGV.
--
-- KEYS      for each partition and channel: the keys around its lanes, then lane and product of each call
-- ARGV[1]   how many calls each partition and channel has, `count,…`
-- ARGV[2..] each call's own arguments with `|` between them: only the last may have one
-- ARGV[..]  what all calls have
--
-- Reply  of each call the words with `|` between them: only what was raised may have one, which is the last

local function answer()
  return table.concat(run(), '|')
end

local replies = {}
together = { gone = {} }
local each = '^' .. string.rep('([^|]*)|', own - 1) .. '()'
local key, call = 0, 1
for i = 1, common do
  ARGV[own + i] = all_args[#all_args - common + i]
end
for calls in string.gmatch(all_args[1], '%d+') do
  for i = 1, around do
    KEYS[2 + i] = all_keys[key + i]
  end
  key = key + around
  for _ = 1, tonumber(calls) do
    call = call + 1
    KEYS[1], KEYS[2] = all_keys[key + 1], all_keys[key + 2]
    key = key + 2
    take_own(all_args[call], each)
    ARGV[own] = string.sub(all_args[call], ARGV[own])
    local done, reply = pcall(answer)
    if not done then
      reply = 'raised|' .. (type(reply) == 'table' and reply.err or tostring(reply))
    end
    replies[call - 1] = reply
  end
end
for stream, ids in pairs(together.gone) do
  if not delete_entries(stream, ids) then
    -- A lane that somebody has changed by hand must not keep the entries of others.
    for _, id in ipairs(ids) do
      delete_entries(stream, { id })
    end
  end
end
return replies
