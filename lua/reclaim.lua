-- Takes a lane away from an owner that is silent, so that any worker takes over.
--
-- Invariant: an owner that renews its lease keeps the lane, unless the caller asks for less silence than that. What
-- stands for the lane is replaced in this same call, so that the old entry, whoever has it, takes nothing any more.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:jobs:<channel>       stream
-- KEYS[3] {ns:P}:jobs:<channel>:again stream
-- KEYS[4] {ns:P}                      stop signal, a sharded channel
-- KEYS[5] {ns:P}:call:<call>          string
-- KEYS[6] {ns:P}:log                  stream
-- ARGV[1] least silence, ms; empty: half the owner's lease, of which it renews every third
-- ARGV[2] least silence, ms, where nobody began the lane and ARGV[1] is empty
-- ARGV[3] 1 to write nothing
--
-- Reply reclaimed <round> <owner> <ms>   silent for so long; any worker takes over; or it was so under this call before
-- Reply alive <round> <owner> <ms>       nothing was written: silent for no more than that
-- Reply waiting <round>                  nothing was written: nobody has it, and any worker takes it
-- Reply closed                           nothing was written: no round is open, or it is paused
-- Reply absent                           nothing was written: Redis does not hold the lane
-- Cost: O(1); one HGETALL, one XPENDING.

local before = redis.call('GET', KEYS[5])
if before then
  return cjson.decode(before)
end
local lane = open_lane(KEYS[1], KEYS[2], KEYS[3], KEYS[6])
local round = lane.fields.round
if lane.fields.status == '' then
  return { 'absent' }
end
local held, ends, length, holder = read_hold(lane)
if not is_open(lane) or (lane.fields.paused == '1' and not held) then
  return { 'closed' }
end

local _, now_ms = now()
local owner, silent_ms, least_ms = '', nil, tonumber(ARGV[2])
if held then
  -- The lease runs anew with each call of its owner.
  local lease_ms = tonumber(length)
  owner, silent_ms, least_ms = holder, lease_ms - (tonumber(ends) - now_ms), lease_ms / 2
else
  if has_live_entry(lane) then
    local stream, id = locate(lane, lane.fields.entry)
    local pending = redis.pcall('XPENDING', stream, GROUP, id, id, 1)
    if pending.err or #pending == 0 then
      return { 'waiting', round }
    end
    owner, silent_ms = pending[1][2], pending[1][3]
  end
end
if ARGV[1] ~= '' then
  least_ms = tonumber(ARGV[1])
end
if silent_ms and silent_ms < least_ms then
  return { 'alive', round, owner, whole(math.max(silent_ms, 0)) }
end

local reply = { 'reclaimed', round, owner, whole(silent_ms or 0) }
if ARGV[3] == '1' then
  return reply
end
log_begun(lane)
revoke(lane)
put(lane, 'stopping', '')
if held then
  lane.late = { 'SPUBLISH', KEYS[4], lane.fields.product }
end
drop_entry(lane)
add_entry(lane, lane.fields.started_at == '' and 'j' or 'a')
redis.call('SET', KEYS[5], cjson.encode(reply), 'PX', 60000)
save(lane)
return reply
