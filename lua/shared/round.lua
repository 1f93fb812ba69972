-- How a round of a lane is logged, queued and ended: written once, used by every script that does it.

-- Says that the lane is not what it was: who compares it with MySQL sees that MySQL is behind.
local function raise_version(lane)
  put(lane, 'version', whole(count(lane, 'version') + 1))
end

-- The state is one field, `p|c|r|s|from|cur|upto|ahead|n|e|v|q|b|x|rt|why`: each field is dear to write and to read. Only
-- the last may hold a `|`. Users stay apart, so that they are found even in an entry that cannot be read; where there
-- are none, their fields are left out.
local function log_row(lane, round, people, last_user, blocked_user, s, from, cur, upto, ahead, n, q, b, x, rt, why)
  local f = lane.fields
  local state = f.product .. '|' .. f.channel .. '|' .. round .. '|' .. s .. '|' .. from .. '|' .. cur .. '|' .. upto
    .. '|' .. ahead .. '|' .. n .. '|' .. f.epoch .. '|' .. f.version .. '|' .. q .. '|' .. b .. '|' .. x .. '|' .. rt
    .. '|' .. why
  if blocked_user ~= '' then
    redis.call('XADD', lane.log, '*', 'k', 'round', 'd', state, 'lu', last_user, 'people', people, 'bu', blocked_user)
  elseif last_user ~= '' or people ~= '' then
    redis.call('XADD', lane.log, '*', 'k', 'round', 'd', state, 'lu', last_user, 'people', people)
  else
    redis.call('XADD', lane.log, '*', 'k', 'round', 'd', state)
  end
end

-- Most counts are 0, and to format a number is dear.
local function counted(lane, field)
  local text = lane.fields[field]
  return (text == '' or text == '0') and '0' or whole(count(lane, field))
end

-- Logs the lane's current round under the version that it has.
local function log_as_it_is(lane, people)
  local f = lane.fields
  local counts = counted(lane, 'sent') .. ',' .. counted(lane, 'skipped') .. ',' .. counted(lane, 'failed') .. ','
    .. counted(lane, 'unknown')
  log_row(lane, f.round, people or '', f.last_user, f.blocked_user, f.status, f.from, f.cursor, f.upto, f.ahead, counts,
    f.queued_at, f.started_at, f.ended_at, f.retry_of, f.reason)
end

-- Logs the lane's current round as it now is, with the people settled by the same call.
local function log_round(lane, people)
  raise_version(lane)
  log_as_it_is(lane, people)
end

-- Logs a round that nobody has begun: it waits, or was overtaken or canceled while it waited.
local function log_unbegun(lane, round, status, queued_at, ended_at, reason)
  raise_version(lane)
  log_row(lane, round, '', '', '', status, '', '', '', '', '0,0,0,0', queued_at, '', ended_at, '', reason)
end

-- Logs what the first `begin` of a round did, unless its holder has called since or another round that waits has had it
-- logged: under the version that it got then, so that none is used for it which a later state has too.
local function log_begun(lane)
  local f = lane.fields
  if f.hold ~= '' and f.call == '' and f.waiting == '' and f.cursor == f.from and is_sound(lane) then
    log_as_it_is(lane)
  end
end

-- Logs the round that waits, if one does.
local function log_waiting(lane)
  if lane.fields.waiting ~= '' then
    log_unbegun(lane, lane.fields.waiting, 'QUEUED', lane.fields.waiting_at, '', '')
  end
end

-- Makes `round` the lane's round. It goes on after the last person settled, unless the round before was
-- completed. The caller logs it and adds its entry.
local function queue_round(lane, round, queued_at)
  local status = lane.fields.status
  if status == '' or status == 'COMPLETED' then
    put(lane, 'from', '')
    put(lane, 'cursor', '')
    put(lane, 'ahead', '')
  else
    put(lane, 'from', lane.fields.cursor)
  end
  put(lane, 'round', round)
  put(lane, 'status', 'QUEUED')
  put(lane, 'queued_at', queued_at)
  for _, field in ipairs({ 'upto', 'last_user', 'blocked_user', 'reason', 'started_at', 'ended_at', 'stopping',
    'cancel', 'tried_at' }) do
    put(lane, field, '')
  end
  for _, field in ipairs({ 'sent', 'skipped', 'failed', 'unknown', 'tries', 'attempts' }) do
    reset(lane, field)
  end
end

-- The last call stays as it was, for whoever makes it once more.
local function free_lease(lane)
  put(lane, 'hold', '')
end

-- Takes the lane from whoever holds it, who is not answered from its memory either.
local function revoke(lane)
  free_lease(lane)
  put(lane, 'call', '')
end

-- Ends the current round and, when a newer one waits, queues that with an entry of its own. A round that had been
-- completed stays so when telling its FAILED again is cut short: the next one starts at the first.
local function end_round(lane, status, reason, people, now_us)
  free_lease(lane)
  if is_retrying(lane) then
    if lane.fields.retry_of == 'COMPLETED' and status ~= 'COMPLETED' then
      status, reason = 'COMPLETED', 'telling the failed again ended: ' .. reason
    end
    leave_retry(lane)
  end
  put(lane, 'status', status)
  put(lane, 'reason', reason)
  put(lane, 'ended_at', now_us)
  put(lane, 'cancel', '')
  put(lane, 'stopping', '')
  drop_entry(lane)
  log_round(lane, people)
  local waiting = lane.fields.waiting
  if waiting ~= '' then
    queue_round(lane, waiting, lane.fields.waiting_at)
    put(lane, 'waiting', '')
    log_round(lane)
    add_entry(lane, 'j')
  end
end

-- Takes the entry away from a lane that stands still until its product is unpaused.
local function park(lane, people)
  free_lease(lane)
  put(lane, 'stopping', '')
  drop_entry(lane)
  log_round(lane, people)
end

-- Those who FAILED are told again, and the round had been cut off: it goes on after its cursor, by a fresh entry.
local function leave_retry_and_go_on(lane, people)
  free_lease(lane)
  leave_retry(lane)
  put(lane, 'status', 'QUEUED')
  put(lane, 'reason', '')
  put(lane, 'stopping', '')
  reset(lane, 'tries')
  put(lane, 'tried_at', '')
  drop_entry(lane)
  log_round(lane, people)
  add_entry(lane, 'j')
end
