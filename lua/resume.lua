-- Queues a round that has ended again: to go on after the last person settled, or to tell its FAILED again first.
--
-- Invariant: only the lane's last round, only with stock; only when it was cut short, unless its FAILED are told again.
-- With a person to skip, they are settled in the same call, and only if they are still the next.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:product:<id>         hash
-- KEYS[3] {ns:P}:log                  stream
-- KEYS[4] {ns:P}:jobs:<channel>       stream
-- KEYS[5] {ns:P}:jobs:<channel>:again stream
-- KEYS[6] {ns:P}:products             zset
-- KEYS[7] {ns:P}:call:<call>          string
-- ARGV[1] 1 to give up the person who blocks the round
-- ARGV[2] cursor at which the caller looked that person up
-- ARGV[3] their place
-- ARGV[4] their user id
-- ARGV[5] the letter of their outcome, F or U
-- ARGV[6] 1 to tell those again who FAILED in this round, then go on if it was cut short
--
-- Reply queued <round>          goes on; or did so under this call before
-- Reply not_canceled <status>   nothing was written: there is nothing to resume
-- Reply nobody_failed <round>   nothing was written: nobody FAILED in this round
-- Reply no_stock <stock>        nothing was written: there is nothing to announce
-- Reply moved <cursor> <blocked user>   nothing was written: look up the person who blocks it from here
-- Reply absent                  nothing was written: check the product against MySQL
-- Reply aged                    nothing was written: check the product against MySQL
-- Cost: O(1).

-- First of all: the server may have been restarted between the call and its copy.
local done = redis.call('GET', KEYS[7])
if done then
  return { 'queued', done }
end
local product = read_hash(KEYS[2])
local refusal = distrust(product.stock, product.run)
if refusal then
  return { refusal }
end
local lane = open_lane(KEYS[1], KEYS[4], KEYS[5], KEYS[3])
local status = lane.fields.status
local retries = ARGV[6] == '1'
if not (string.find(status, '^CANCELED_') or (retries and status == 'COMPLETED')) then
  return { 'not_canceled', status }
end
if retries and count(lane, 'failed') == 0 then
  return { 'nobody_failed', lane.fields.round }
end
if tonumber(product.stock) <= 0 then
  return { 'no_stock', product.stock }
end
if ARGV[1] == '1' and (ARGV[2] ~= lane.fields.cursor or ARGV[4] ~= lane.fields.blocked_user) then
  return { 'moved', lane.fields.cursor, lane.fields.blocked_user }
end

local _, now_ms = now()
local now_us = now()
local people = ''
if ARGV[1] == '1' then
  people = ARGV[3] .. ',' .. ARGV[4] .. ',' .. ARGV[5] .. ',' .. now_us
  if count(lane, 'tries') > 1 then
    people = people .. ',' .. lane.fields.tries
  end
  people = people .. ';'
  put(lane, 'cursor', ARGV[3])
  put(lane, 'last_user', ARGV[4])
  local field = ARGV[5] == 'U' and 'unknown' or 'failed'
  put(lane, field, whole(count(lane, field) + 1))
end
if retries then
  put(lane, 'retry_of', status)
  put(lane, 'retry_cursor', '')
end
put(lane, 'status', 'QUEUED')
for _, field in ipairs({ 'blocked_user', 'reason', 'ended_at', 'stopping', 'cancel', 'tried_at' }) do
  put(lane, field, '')
end
if retries then
  put(lane, 'reason', 'telling the failed again')
end
reset(lane, 'tries')
reset(lane, 'attempts')
log_round(lane, people)
ensure_entry(lane, 'j')
save(lane)
redis.call('ZADD', KEYS[6], now_ms, lane.fields.product)
redis.call('SET', KEYS[7], lane.fields.round, 'PX', 60000)
return { 'queued', lane.fields.round }
