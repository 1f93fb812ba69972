-- Keeps a hold alive while its worker waits for anything: permits, a retry, a page, MySQL.
--
-- Invariant: only the holder prolongs its lease; the pending entry's idle time starts anew with it.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/hold.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:jobs:<channel>       stream
-- KEYS[3] {ns:P}:jobs:<channel>:again stream
-- KEYS[4] {ns:P}:log                  stream
-- ARGV[1] token of the hold
-- ARGV[2] sequence number of this call in the hold
-- ARGV[3] cursor that the holder expects
-- ARGV[4] length of the lease, ms
-- ARGV[5] consumer that the entry is to be pending for
-- ARGV[6] tries already made for the next person
-- ARGV[7] when the first of them started, µs
--
-- Reply ok      the lease runs again in full
-- Reply lost    somebody else holds the lane, or it is gone; nothing was written
-- Cost: O(1); one HGETALL, one HSET, one XCLAIM, at most one XADD.

local lane = open_lane(KEYS[1], KEYS[2], KEYS[3], KEYS[4])
local refusal = check_hold(lane)
if refusal then
  return refusal
end
local _, now_ms = now()
prolong(lane, now_ms, ARGV[4])
put(lane, 'tries', ARGV[6])
put(lane, 'tried_at', ARGV[7])
log_begun(lane)
local stream, id = locate(lane, lane.fields.entry)
if id ~= '' then
  lane.late = { 'XCLAIM', stream, GROUP, ARGV[5], '0', id, 'IDLE', '0', 'JUSTID' }
end
return answer_hold(lane, { 'ok' })
