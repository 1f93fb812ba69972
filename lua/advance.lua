-- Settles what the holder has finished and says whether it may start the next people.
--
-- Invariant: `go` is answered only while stock is above zero, nothing asks the round to stop and the caller
-- holds the lane; a round that ends does so in this same call, with its entry gone and the next round queued.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/hold.lua
-- include shared/settle.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:product:<id>         hash
-- KEYS[3] {ns:P}:log                  stream
-- KEYS[4] {ns:P}:jobs:<channel>       stream
-- KEYS[5] {ns:P}:jobs:<channel>:again stream
-- ARGV[1] token of the hold
-- ARGV[2] sequence number of this call in the hold
-- ARGV[3] cursor that the holder expects
-- ARGV[4] cursor after settling, or the same
-- ARGV[5] user at the new cursor, or empty
-- ARGV[6] people settled as SENT by this call
-- ARGV[7] people settled as SKIPPED
-- ARGV[8] people settled as FAILED
-- ARGV[9] people settled as UNKNOWN
-- ARGV[10] ahead: places settled beyond the cursor that the lane must remember, `place,…`
-- ARGV[11] tries already made for the next person
-- ARGV[12] when the first of them started, µs
-- ARGV[13] people started or settled that this call does not carry, count
-- ARGV[14] 1 when nobody is left up to `upto`, or none of the FAILED who are told again
-- ARGV[15] people settled, `place,user,letter,at_us[,tries];…`
-- ARGV[16] length of the lease, ms
-- ARGV[17] entries in the log at which nobody is authorised
--
-- Reply go                   start; all authorisations of this hold are fresh
-- Reply full                 settled, but start nobody: MySQL is behind
-- Reply drain <reason>       start nobody, come back when nothing is in flight; the reason stands
-- Reply sold_out             the round ended as CANCELED_BY_SOLD_OUT
-- Reply canceled             the round ended as CANCELED_BY_ADMIN
-- Reply paused               the lane stands still, without a lease or an entry
-- Reply completed            the round ended as COMPLETED
-- Reply retried              the FAILED are told again; the round, which had been cut off, goes on by a new entry
-- Reply lost                 somebody else holds the lane, or it is gone; nothing was written
-- Cost: O(people settled); one HGETALL, one HSET, at most two XADD.

local lane = open_lane(KEYS[1], KEYS[4], KEYS[5], KEYS[3])
local refusal = check_hold(lane)
if refusal then
  return refusal
end

local now_us, now_ms = now()
local people = ARGV[15]
local news = settle(lane, people)
if ARGV[14] == '1' and is_retrying(lane) and lane.fields.retry_of ~= 'COMPLETED' then
  leave_retry_and_go_on(lane, people)
  return answer_hold(lane, { 'retried' })
end
if ARGV[14] == '1' then
  end_round(lane, 'COMPLETED', '', people, now_us)
  return answer_hold(lane, { 'completed' })
end

local stock = redis.call('HGET', KEYS[2], 'stock')
if not stock then
  return { 'lost' }
end
local stop = lane.fields.stopping
if lane.fields.cancel ~= '' then
  stop = 'canceled'
elseif stop == '' and tonumber(stock) <= 0 then
  stop = 'sold_out'
elseif stop == '' and lane.fields.paused == '1' then
  stop = 'paused'
end

if stop ~= '' and ARGV[13] == '0' then
  if stop == 'sold_out' then
    end_round(lane, 'CANCELED_BY_SOLD_OUT', 'stock is gone', people, now_us)
  elseif stop == 'canceled' then
    end_round(lane, 'CANCELED_BY_ADMIN', lane.fields.cancel, people, now_us)
  else
    park(lane, people)
  end
  return answer_hold(lane, { stop })
end

prolong(lane, now_ms, ARGV[16])
if news then
  log_round(lane, people)
else
  log_begun(lane)
end
if stop ~= '' then
  -- A pause can be lifted while the lane drains; the other decisions stand.
  if stop ~= 'paused' then
    put(lane, 'stopping', stop)
  end
  return answer_hold(lane, { 'drain', stop })
end
if log_length(KEYS[3]) >= tonumber(ARGV[17]) then
  return answer_hold(lane, { 'full' })
end
return answer_hold(lane, { 'go' })
