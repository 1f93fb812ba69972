-- A lane as a table of its fields, with the writes collected until all checks have passed.
--
-- Ids, places and cursors are opaque strings, compared for equality only: as Lua numbers they would lose digits.

local GROUP = 'workers'

local now_text, now_number

-- One moment for the whole call.
local function now()
  if not now_text then
    local t = redis.call('TIME')
    now_text = t[1] .. string.rep('0', 6 - #t[2]) .. t[2]
    now_number = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  return now_text, now_number
end

local function whole(number)
  return string.format('%.0f', number)
end

local log_lengths = {}

-- How many entries a log has, as the first call of a script found it.
local function log_length(log)
  log_lengths[log] = log_lengths[log] or redis.call('XLEN', log)
  return log_lengths[log]
end

local this_run

-- Names the server's present time as a primary. The run alone would not do: one that was replaced, copied its successor
-- and takes over from that again may hold less than when it was last a primary, and was not started anew.
local function server_run()
  if this_run then
    return this_run
  end
  local info = redis.call('INFO', 'server', 'replication')
  local _, run = string.find(info, 'run_id:', 1, true)
  local _, copied = string.find(info, 'master_replid:', 1, true)
  this_run = string.match(info, '^%w+', run + 1) .. '-' .. (copied and string.match(info, '^%w+', copied + 1) or '')
  return this_run
end

-- Names and values that follow each other, as a table, over what it holds.
local function by_name(flat, fields)
  fields = fields or {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

-- Reads a hash, over what the table holds.
local function read_hash(key, fields)
  return by_name(redis.call('HGETALL', key), fields)
end

-- All fields of a lane: what the hash does not have is empty. And so the table has room for what it does have, and is not
-- copied each time it grows.
local function no_fields()
  return { product = '', channel = '', epoch = '', version = '', round = '', status = '', reason = '', from = '', cursor = '',
    upto = '', ahead = '', last_user = '', blocked_user = '', sent = '', skipped = '', failed = '', unknown = '',
    queued_at = '', started_at = '', ended_at = '', retry_of = '', retry_cursor = '', tries = '', tried_at = '',
    attempts = '', token = '', was_token = '', owner = '', lease_until = '', lease_ms = '', seq = '', reply = '',
    stopping = '', cancel = '', paused = '', entry = '', waiting = '', waiting_at = '', trace = '', waiting_trace = '' }
end

-- A table with room for as many values: one that grows by itself is copied again and again.
local function room()
  return { nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
end

local function open_lane(key, jobs, again, log)
  return { key = key, jobs = jobs, again = again, log = log, fields = read_hash(key, no_fields()), writes = room(), written = 0,
    gone = {}, late = {} }
end

local function count(lane, field)
  return tonumber(lane.fields[field]) or 0
end

-- What stands there already is not written again.
local function put(lane, field, value)
  local fields = lane.fields
  if fields[field] == value then
    return
  end
  fields[field] = value
  local written = lane.written
  lane.writes[written + 1] = field
  lane.writes[written + 2] = value
  lane.written = written + 2
end

-- An absent count is 0 too, and a lane with few fields is cheap to read.
local function reset(lane, field)
  if lane.fields[field] ~= '' then
    put(lane, field, '0')
  end
end

local STATUSES = { QUEUED = true, IN_PROGRESS = true, COMPLETED = true, CANCELED_BY_SOLD_OUT = true,
  CANCELED_BY_ERROR = true, CANCELED_BY_ADMIN = true, SUPERSEDED = true }

-- Whether MySQL could take what is logged of the lane: not when somebody has changed a field by hand. Who went on with
-- such a lane would fill the log with what is only set aside, and lose in it what became of the people.
local function is_sound(lane)
  local f = lane.fields
  -- One look at all of them: a call costs more than what it looks at.
  local digits = f.product .. f.round .. f.epoch .. f.from .. f.cursor .. f.upto .. f.last_user .. f.blocked_user
    .. f.queued_at .. f.started_at .. f.ended_at .. f.waiting .. f.waiting_at
  return STATUSES[f.status] and (f.retry_of == '' or STATUSES[f.retry_of])
    and f.product ~= '' and f.round ~= '' and f.epoch ~= '' and string.find(digits, '^%d*$')
    and #f.from <= 19 and #f.cursor <= 19 and #f.upto <= 19 and #f.last_user <= 19 and #f.blocked_user <= 19
    and #f.queued_at <= 19 and #f.started_at <= 19 and #f.ended_at <= 19 and #f.waiting <= 19 and #f.waiting_at <= 19
    and (f.ahead == '' or not string.find(f.ahead, '[^%d,]'))
end

local function is_open(lane)
  return lane.fields.status == 'QUEUED' or lane.fields.status == 'IN_PROGRESS'
end

-- Whether somebody's lease runs.
local function is_held(lane, now_ms)
  return lane.fields.token ~= '' and count(lane, 'lease_until') > now_ms
end

-- While those who FAILED in a round are told again, `retry_of` holds the status that the round had before, and
-- `retry_cursor` is the last of them settled; the cursor of the round stands still.
local function is_retrying(lane)
  return lane.fields.retry_of ~= ''
end

-- The field that a settlement moves.
local function position(lane)
  return is_retrying(lane) and 'retry_cursor' or 'cursor'
end

local function leave_retry(lane)
  put(lane, 'retry_of', '')
  put(lane, 'retry_cursor', '')
end

-- The entries that a script which several calls share has done with, by stream: all of them go at its end.
local gone_together

-- Whether Redis took all of these for ids.
local function delete_entries(stream, ids)
  redis.pcall('XACK', stream, GROUP, unpack(ids))
  return type(redis.pcall('XDEL', stream, unpack(ids))) == 'number'
end

local function delete_gone(lane)
  for _, entry in ipairs(lane.gone) do
    local stream, id = entry[1], entry[2]
    if gone_together then
      local ids = gone_together[stream] or {}
      ids[#ids + 1] = id
      gone_together[stream] = ids
    else
      delete_entries(stream, { id })
    end
  end
end

-- Writes the fields, then makes the calls that may fail and must not undo what was written before.
local function save(lane)
  if lane.written > 0 then
    redis.call('HSET', lane.key, unpack(lane.writes, 1, lane.written))
  end
  delete_gone(lane)
  for _, command in ipairs(lane.late) do
    redis.pcall(unpack(command))
  end
end

-- The stream and the id of an entry by its name, `j:<id>` or `a:<id>`.
local function locate(lane, entry)
  local stream = lane.jobs
  if string.sub(entry, 1, 1) == 'a' then
    stream = lane.again
  end
  return stream, string.sub(entry, 3)
end

-- Whether entry id `a` comes after `b`; compared as text, because as Lua numbers they would lose digits.
local function is_after(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms == b_ms then
    a_ms, b_ms = a_seq, b_seq
  end
  return #a_ms > #b_ms or (#a_ms == #b_ms and a_ms > b_ms)
end

local function last_delivered(stream)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = by_name(flat)
    if fields.name == GROUP then
      return fields['last-delivered-id']
    end
  end
  return '0-0'
end

-- Whether the lane's entry is on its stream and was not given out yet, or is pending for somebody. One that was given
-- out and is pending for nobody reaches no worker any more: it was acknowledged by hand, or its consumer deleted.
local function has_live_entry(lane)
  local stream, id = locate(lane, lane.fields.entry)
  if id == '' or #redis.call('XRANGE', stream, id, id) == 0 then
    return false
  end
  local pending = redis.pcall('XPENDING', stream, GROUP, id, id, 1)
  return pending.err ~= nil or #pending > 0 or is_after(id, last_delivered(stream))
end

local function delete_entry(lane, entry)
  lane.gone[#lane.gone + 1] = { locate(lane, entry) }
end

local function drop_entry(lane)
  if lane.fields.entry ~= '' then
    delete_entry(lane, lane.fields.entry)
    put(lane, 'entry', '')
  end
end

local TRACES = { 'trace', 'waiting_trace' }

-- The W3C traceparent of whoever follows the lane's current round, or empty. Each field names its round, so that one that
-- was left behind is not taken for the present one's.
local function trace_of(lane)
  for _, field in ipairs(TRACES) do
    if lane.fields[field] ~= '' then
      local round, parent = string.match(lane.fields[field], '^(%d+) (.+)$')
      if round and round == lane.fields.round then
        return parent
      end
    end
  end
  return ''
end

-- letter: 'j' for fresh work, 'a' for work handed back. A paused lane gets none.
local function add_entry(lane, letter)
  if lane.fields.paused == '1' then
    put(lane, 'entry', '')
    return
  end
  local stream = lane.jobs
  if letter == 'a' then
    stream = lane.again
  end
  local fields = { 'product', lane.fields.product }
  local trace = trace_of(lane)
  if trace ~= '' then
    fields = { 'product', lane.fields.product, 'traceparent', trace }
  end
  put(lane, 'entry', letter .. ':' .. redis.call('XADD', stream, '*', unpack(fields)))
end

local function ensure_entry(lane, letter)
  if not has_live_entry(lane) then
    drop_entry(lane)
    add_entry(lane, letter)
  end
end
