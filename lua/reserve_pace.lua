-- Reserves moments at which somebody may start an attempt.
--
-- Invariant: at most `rate` moments lie in any 1,020 ms, whoever asks. As each start falls within 20 ms after its
-- moment, no second has more than `rate` starts.
--
-- include shared/lane.lua
--
-- KEYS[1] {ns}:pace:<name>  hash
-- ARGV[1] moments wanted
-- ARGV[2] how far ahead moments may lie, µs
-- ARGV[3] the least time from now to the first, µs
-- ARGV[4] the rate as the caller knows it, messages a second; 0 is no pace
-- ARGV[5] 1 when the caller knows it to be paused, else empty
-- ARGV[6] revision of what the caller knows; the highest that was ever given stands
--
-- Reply granted <count> <first> <interval> <now>   moments, µs since the epoch on Redis' clock
-- Reply wait <us>    none lies near enough; ask again then
-- Reply unlimited    there is no pace
-- Reply paused       nobody may start
-- Cost: O(1).

local pace = read_hash(KEYS[1])
local t = redis.call('TIME')
local now_us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local run = server_run()
if not pace.next or pace.run ~= run then
  -- What was reserved before is not known any more: the first moment is a second away.
  pace.next = whole(now_us + 1020000)
  redis.call('HSET', KEYS[1], 'run', run, 'next', pace.next)
end
if not pace.rate or tonumber(ARGV[6]) > (tonumber(pace.revision or '0') or 0) then
  pace.rate = ARGV[4]
  pace.paused = ARGV[5]
  redis.call('HSET', KEYS[1], 'rate', ARGV[4], 'paused', ARGV[5], 'revision', ARGV[6])
end
if pace.paused == '1' then
  return { 'paused' }
end
local rate = tonumber(pace.rate)
if rate <= 0 then
  return { 'unlimited' }
end

local interval = math.ceil(1020000 / rate)
local horizon = now_us + tonumber(ARGV[2])
local next_us = tonumber(pace.next)
if next_us > horizon + 1020000 + interval then
  -- The clock went back: that far ahead nobody can have reserved.
  next_us = now_us + 1020000
end
local first = math.max(next_us, now_us + tonumber(ARGV[3]))
local granted = math.min(tonumber(ARGV[1]), math.floor((horizon - first) / interval) + 1)
if granted <= 0 then
  return { 'wait', whole(math.max(first - horizon, 0)) }
end
-- What was given out in this second and in the one before, for people.
local given, before = 0, 0
if pace.second == t[1] then
  given, before = tonumber(pace.given), tonumber(pace.before)
elseif pace.second and tonumber(pace.second) + 1 == tonumber(t[1]) then
  before = tonumber(pace.given)
end
redis.call('HSET', KEYS[1], 'next', whole(first + granted * interval), 'second', t[1],
  'given', whole(given + granted), 'before', whole(before))
return { 'granted', whole(granted), whole(first), whole(interval), whole(now_us) }
