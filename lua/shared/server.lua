-- What is asked of the server once for the whole call, and how numbers and hashes are written and read.

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

-- A number without a fraction as text, by way of a C long, which has 64 bits wherever servers run: the way by a double takes
-- four times as long.
local function whole(number)
  return string.format('%d', number)
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

local function read_hash(key)
  return by_name(redis.call('HGETALL', key))
end
