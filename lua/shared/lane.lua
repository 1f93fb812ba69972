-- A lane as a table of its fields, with the writes collected until all checks have passed.
--
-- Ids, places and cursors are opaque strings, compared for equality only: as Lua numbers they would lose digits.

local GROUP = 'workers'

-- All fields of a lane: what the hash does not have is empty. And so the table has room for what it does have, and is not
-- copied each time it grows.
local function no_fields()
  return { product = '', channel = '', epoch = '', version = '', round = '', status = '', reason = '', from = '',
    cursor = '', upto = '', ahead = '', last_user = '', blocked_user = '', sent = '', skipped = '', failed = '',
    unknown = '', queued_at = '', started_at = '', ended_at = '', retry_of = '', retry_cursor = '', tries = '',
    tried_at = '', attempts = '', hold = '', call = '', stopping = '', cancel = '', paused = '', entry = '',
    waiting = '', waiting_at = '', trace = '', waiting_trace = '' }
end

-- A table with room for as many values: one that grows by itself is copied again and again.
local function room()
  return { nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
end

-- What a script that several calls share keeps for all of them: the lane, whose tables the next call takes, since each costs more to
-- make and to drop than most of what is done with it; and the entries that are done with, by stream: all go at the end.
local together

-- Takes back what the lane before has left in the tables.
local function clear(lane)
  local fields, read, writes = lane.fields, lane.read, lane.writes
  for i = 1, #read, 2 do
    fields[read[i]] = ''
  end
  for i = 1, lane.written, 2 do
    fields[writes[i]] = ''
  end
end

local function open_lane(key, jobs, again, log)
  local lane = together and together.lane
  if lane then
    clear(lane)
  else
    lane = { fields = no_fields(), writes = room(), read = {}, gone = {} }
  end
  lane.key, lane.jobs, lane.again, lane.log = key, jobs, again, log
  lane.written, lane.left, lane.late = 0, 0, nil
  if together then
    together.lane = lane
  end
  lane.read = redis.call('HGETALL', key)
  by_name(lane.read, lane.fields)
  return lane
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
  local writes, written = lane.writes, lane.written
  writes[written + 1] = field
  writes[written + 2] = value
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

-- Gives the lane to `owner`. Who holds it is one field, `token until length owner`, with the end and the length of the lease in ms; an
-- empty one is nobody's.
local function hold(lane, token, now_ms, length, owner)
  put(lane, 'hold', token .. ' ' .. whole(now_ms + tonumber(length)) .. ' ' .. length .. ' ' .. owner)
end

-- Returns token, end, length and owner as texts; nothing where the field is empty, or is what no `hold` writes.
local function read_hold(lane)
  return string.match(lane.fields.hold, '^(%S+) (%d+) (%d+) (.*)$')
end

local function is_held_by(lane, token)
  return read_hold(lane) == token
end

local function is_leased(lane, now_ms)
  local _, ends = read_hold(lane)
  return ends and tonumber(ends) > now_ms
end

-- The lease of whoever holds the lane runs anew.
local function prolong(lane, now_ms, length)
  local token, _, _, owner = read_hold(lane)
  hold(lane, token, now_ms, length, owner)
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

-- Whether Redis took all of these for ids.
local function delete_entries(stream, ids)
  redis.pcall('XACK', stream, GROUP, unpack(ids))
  return type(redis.pcall('XDEL', stream, unpack(ids))) == 'number'
end

local function delete_gone(lane)
  local gone = lane.gone
  for i = 1, lane.left, 2 do
    local stream, id = gone[i], gone[i + 1]
    if together then
      local ids = together.gone[stream] or {}
      ids[#ids + 1] = id
      together.gone[stream] = ids
    else
      delete_entries(stream, { id })
    end
  end
end

-- Writes the fields, then makes the calls that may fail and must not undo what was written before: it deletes the entries that the
-- lane has left, and makes the call `late`, if there is one.
local function save(lane)
  if lane.written > 0 then
    redis.call('HSET', lane.key, unpack(lane.writes, 1, lane.written))
  end
  delete_gone(lane)
  if lane.late then
    redis.pcall(unpack(lane.late))
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
  local gone, left = lane.gone, lane.left
  gone[left + 1], gone[left + 2] = locate(lane, entry)
  lane.left = left + 2
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
  for i = 1, #TRACES do
    local trace = lane.fields[TRACES[i]]
    if trace ~= '' then
      local round, parent = string.match(trace, '^(%d+) (.+)$')
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
