-- Ends a round that its holder cannot go on with.
--
-- Invariant: the cursor stays behind the last person settled, so that `resume` tries the next one first.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/hold.lua
-- include shared/settle.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:log                  stream
-- KEYS[3] {ns:P}:jobs:<channel>       stream
-- KEYS[4] {ns:P}:jobs:<channel>:again stream
-- ARGV[1] token of the hold
-- ARGV[2] sequence number of this call in the hold
-- ARGV[3] cursor that the holder expects
-- ARGV[4] cursor after settling, or the same
-- ARGV[5] user at the new cursor, or empty
-- ARGV[6] people settled as SENT by this call
-- ARGV[7] people settled as SKIPPED
-- ARGV[8] people settled as FAILED
-- ARGV[9] people settled as UNKNOWN
-- ARGV[10] ahead: places settled beyond the cursor, `place,…`
-- ARGV[11] tries already made for the next person
-- ARGV[12] when the first of them started, µs
-- ARGV[13] people settled, `place,user,letter,at_us[,tries];…`
-- ARGV[14] CANCELED_BY_ERROR or CANCELED_BY_ADMIN
-- ARGV[15] the reason, for people
-- ARGV[16] user who could not be told, or empty
--
-- Reply finished   the round has ended
-- Reply lost       somebody else holds the lane, or it is gone; nothing was written
-- Cost: O(people settled).

local lane = open_lane(KEYS[1], KEYS[3], KEYS[4], KEYS[2])
local refusal = check_hold(lane)
if refusal then
  return refusal
end
local now_us = now()
settle(lane, ARGV[13])
if not is_retrying(lane) then
  put(lane, 'blocked_user', ARGV[16])
end
end_round(lane, ARGV[14], ARGV[15], ARGV[13], now_us)
return answer_hold(lane, { 'finished' })
