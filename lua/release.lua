-- Hands a lane back: settles, frees the lease and queues it behind the fresh work.
--
-- Invariant: the lane never stands without an entry while its round is open and not paused; the next person's
-- tries are kept, so that a release does not start a new retry budget.
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
--
-- Reply released   any worker may begin it
-- Reply canceled   the round was to be canceled and has ended as CANCELED_BY_ADMIN
-- Reply paused     the product is paused: the lane stands still
-- Reply lost       somebody else holds the lane, or it is gone; nothing was written
-- Cost: O(people settled).

local lane = open_lane(KEYS[1], KEYS[3], KEYS[4], KEYS[2])
local refusal = check_hold(lane)
if refusal then
  return refusal
end
local now_us = now()
settle(lane, ARGV[13])
if lane.fields.cancel ~= '' then
  end_round(lane, 'CANCELED_BY_ADMIN', lane.fields.cancel, ARGV[13], now_us)
  return answer_hold(lane, { 'canceled' })
end
if lane.fields.paused == '1' then
  park(lane, ARGV[13])
  return answer_hold(lane, { 'paused' })
end
free_lease(lane)
put(lane, 'stopping', '')
drop_entry(lane)
log_round(lane, ARGV[13])
add_entry(lane, 'a')
return answer_hold(lane, { 'released' })
