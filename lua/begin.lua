-- Takes a lane for the worker that received or reclaimed its entry.
--
-- Invariant: one hand: a live lease is never taken away, whoever the entry is pending for. Only the first begin
-- of a round fixes `upto`.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/begun.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:product:<id>         hash
-- KEYS[3] {ns:P}:log                  stream
-- KEYS[4] {ns:P}:jobs:<channel>       stream
-- KEYS[5] {ns:P}:jobs:<channel>:again stream
-- KEYS[6] {ns:P}:dead:<channel>       stream
-- ARGV[1] fresh random token
-- ARGV[2] newest place in line, read after the entry was received; empty for an empty line
-- ARGV[3] place after which the caller has looked for people
-- ARGV[4] 1 when it found nobody there, so that the round starts at the first
-- ARGV[5] entry, `j:<id>` or `a:<id>`
-- ARGV[6] consumer that takes it
-- ARGV[7] length of the lease, ms
-- ARGV[8] expired leases in a row, without a person settled, after which the round is given up
-- ARGV[9] entries in the log at which nobody is authorised
--
-- Reply go <round> <from> <cursor> <upto> <ahead> <tries> <tried_at> <retry_of> <epoch> <version> <may_start> <trace>   the lane is held;
--   with `may_start` 1 the first people are authorised, as by a `go` of advance.lua;
--   the trace is that of the round, whatever an entry says that was made for a round overtaken since;
--   with a `retry_of` the cursor is that of the FAILED who are told again, and ahead is empty
-- Reply look <from> <ahead>  first begin of a round that goes on after `from`: look there and begin again
-- Reply busy <ms>            somebody else's lease runs that much longer
-- Reply stale                the entry stands for nothing any more, or for a lane that cannot be read, and is gone
-- Reply canceled             the round was to be canceled and has ended as CANCELED_BY_ADMIN
-- Reply paused               the product is paused: the lane stands still
-- Reply buried               given up: CANCELED_BY_ERROR, on the dead stream
-- Reply absent               nothing was written: check the product against MySQL
-- Reply aged                 nothing was written: check the product against MySQL
-- Cost: O(1).

local stock, run = unpack(redis.call('HMGET', KEYS[2], 'stock', 'run'))
local distrusted = distrust(stock, run)
if distrusted then
  return { distrusted }
end
local lane = open_lane(KEYS[1], KEYS[4], KEYS[5], KEYS[3])
local now_us, now_ms = now()

if lane.fields.entry ~= ARGV[5] or not is_open(lane) or not is_sound(lane) then
  delete_entry(lane, ARGV[5])
  save(lane)
  return { 'stale' }
end
local holder, ends = read_hold(lane)
if holder == ARGV[1] then
  return begun(lane, may_start(lane, stock, KEYS[3], ARGV[9]))
end
if holder and tonumber(ends) > now_ms then
  return { 'busy', whole(tonumber(ends) - now_ms) }
end
if lane.fields.cancel ~= '' then
  end_round(lane, 'CANCELED_BY_ADMIN', lane.fields.cancel, '', now_us)
  save(lane)
  return { 'canceled' }
end
if lane.fields.paused == '1' then
  park(lane, '')
  save(lane)
  return { 'paused' }
end
if holder and count(lane, 'attempts') + 1 > tonumber(ARGV[8]) then
  redis.call('XADD', KEYS[6], '*', 'product', lane.fields.product, 'round', lane.fields.round,
    'reason', 'attempts', 'at', now_us)
  end_round(lane, 'CANCELED_BY_ERROR', 'attempts: ' .. ARGV[8] .. ' workers lost the lane at the same person', '', now_us)
  save(lane)
  return { 'buried' }
end

local first = lane.fields.started_at == ''
if first and lane.fields.from ~= '' and lane.fields.from ~= ARGV[3] then
  return { 'look', lane.fields.from, lane.fields.ahead }
end
if not first then
  -- By whoever had it before and made no call.
  log_begun(lane)
end
if holder then
  put(lane, 'attempts', whole(count(lane, 'attempts') + 1))
end
hold(lane, ARGV[1], now_ms, ARGV[7], ARGV[6])
put(lane, 'call', '')
put(lane, 'stopping', '')
if first then
  if ARGV[4] == '1' then
    put(lane, 'from', '')
    put(lane, 'cursor', '')
    put(lane, 'ahead', '')
  end
  put(lane, 'upto', ARGV[2])
  put(lane, 'started_at', now_us)
end
local starts = may_start(lane, stock, KEYS[3], ARGV[9])
if first or lane.fields.status ~= 'IN_PROGRESS' or is_retrying(lane) then
  -- Who tells the FAILED again waits until MySQL has this round at this version: a round that waits raises it too.
  put(lane, 'status', 'IN_PROGRESS')
  raise_version(lane)
  if not first or not starts then
    log_as_it_is(lane)
  end
  -- Else the first call of this hold does: that most often carries the round's end, and MySQL is told of both at once.
end
save(lane)
return begun(lane, starts)
