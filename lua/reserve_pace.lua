-- Reserves moments at which somebody may start an attempt, and takes unused ones back.
--
-- Time is cut into cells of 10 ms. A moment is the begin of a cell; a start falls within 20 ms after its moment.
--
-- Invariant: any 102 cells in a row (1,020 ms) hold at most `rate` moments, of the total as of each channel. So no
-- second has more starts than that. A moment that was not used counts for nobody once it is back: what a stall cost
-- is made up for as long as its second has room.
--
-- include shared/server.lua
--
-- KEYS[1] {ns}:pace:total      hash
-- KEYS[2] {ns}:pace:<channel>  hash
-- KEYS[3] {ns}:call:<call>     string
-- ARGV[1] moments wanted
-- ARGV[2] how far ahead moments may lie, µs
-- ARGV[3] the least time from now to the first, µs
-- ARGV[4] the rate of all channels together as the caller knows it, starts a second; 0 is no pace
-- ARGV[5] the channel's own; 0 is none
-- ARGV[6] 1 when the caller knows it to be paused, else empty
-- ARGV[7] revision of what the caller knows; the highest that was ever given stands
-- ARGV[8] moments that were not used, `moment_us,count;…`
--
-- Reply granted <now> {<moment> <count>}   µs since the epoch on Redis' clock; several may share a moment
-- Reply wait <us>    none lies near enough; ask again then
-- Reply unlimited    there is no pace
-- Reply paused       nobody may start
-- Cost: O(cells in a second).

local CELL_US = 10000
local WINDOW_CELLS = 102
-- What stalls and unused moments have cost is made up, at twice the pace, to this much at most.
local CREDIT_US = 100000
-- After this many cells without a moment there was no stall but nothing to do: that is not made up.
local IDLE_CELLS = 25

local t = redis.call('TIME')
local now_us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local current = math.floor(now_us / CELL_US)
local horizon_us = now_us + tonumber(ARGV[2])
local first = math.ceil((now_us + tonumber(ARGV[3])) / CELL_US)
local final = math.floor(horizon_us / CELL_US)
local oldest = current - WINDOW_CELLS
local run = server_run()

local function open_pace(key, rate)
  local fields = read_hash(key)
  local pace = { key = key, counts = {}, last = oldest, given = 0, changed = false }
  if not fields.rate or tonumber(ARGV[7]) > (tonumber(fields.revision or '0') or 0) then
    fields.rate, fields.paused = rate, ARGV[6]
    redis.call('HSET', key, 'rate', rate, 'paused', ARGV[6], 'revision', ARGV[7])
  end
  pace.rate, pace.paused = tonumber(fields.rate), fields.paused == '1'
  pace.from = tonumber(fields.from or '0')
  pace.due_us = tonumber(fields.due or '0')
  local cell = tonumber(fields.base or '0')
  for count in string.gmatch(fields.cells or '', '%d+') do
    if cell >= oldest and count ~= '0' then
      pace.counts[cell] = tonumber(count)
      pace.last = cell
    end
    cell = cell + 1
  end
  if fields.run ~= run or pace.last > final + WINDOW_CELLS then
    -- What was reserved before is not known any more, or the clock went back: the first moment is a second away.
    pace.counts, pace.last = {}, oldest
    pace.from, pace.due_us, pace.changed = current + WINDOW_CELLS, 0, true
  end
  if pace.last < first - IDLE_CELLS then
    pace.due_us = math.max(pace.due_us, first * CELL_US + CREDIT_US)
  end
  return pace
end

local function take_back(pace, cell, count)
  local had = pace.counts[cell] or 0
  local back = math.min(had, count)
  if back > 0 then
    pace.counts[cell] = had - back
    pace.changed = true
    if pace.rate > 0 then
      pace.due_us = pace.due_us - back * WINDOW_CELLS * CELL_US / pace.rate
    end
  end
end

-- For each cell that can be given out, how full the fullest window is that holds it.
local function measure(pace)
  local start, upto = first - WINDOW_CELLS, math.max(final, pace.last)
  local sum, sums = 0, {}
  for cell = start, upto do
    sum = sum + (pace.counts[cell] or 0)
    if cell - WINDOW_CELLS >= start then
      sum = sum - (pace.counts[cell - WINDOW_CELLS] or 0)
    end
    sums[cell] = sum
  end
  pace.fullest = {}
  local fullest = 0
  for cell = upto, first, -1 do
    fullest = math.max(fullest, sums[cell])
    pace.fullest[cell] = fullest
  end
end

-- How many more moments a cell may hold: by the window, by the steady pace, and by what is smooth.
local function room(pace, cell)
  if cell < pace.from then
    return 0
  end
  local at_us = cell * CELL_US
  local interval_us = WINDOW_CELLS * CELL_US / pace.rate
  local steady = math.floor((at_us + CREDIT_US - math.max(pace.due_us, at_us)) / interval_us) + 1
  local smooth = 1 + math.floor(2 * pace.rate / WINDOW_CELLS) - (pace.counts[cell] or 0)
  return math.min(pace.rate - pace.fullest[cell] - pace.given, steady, smooth)
end

local function give(pace, cell, count)
  pace.counts[cell] = (pace.counts[cell] or 0) + count
  pace.last = math.max(pace.last, cell)
  pace.given = pace.given + count
  pace.changed = true
  if pace.rate > 0 then
    pace.due_us = math.max(pace.due_us, cell * CELL_US) + count * WINDOW_CELLS * CELL_US / pace.rate
  end
end

local function save_pace(pace)
  if not pace.changed then
    return
  end
  local cells = {}
  for cell = oldest, pace.last do
    cells[#cells + 1] = whole(pace.counts[cell] or 0)
  end
  redis.call('HSET', pace.key, 'run', run, 'from', whole(pace.from), 'due', whole(math.floor(pace.due_us + 0.5)), 'base', whole(oldest),
    'cells', table.concat(cells, ','))
end

local total, channel = open_pace(KEYS[1], ARGV[4]), open_pace(KEYS[2], ARGV[5])
if ARGV[8] ~= '' and redis.call('SET', KEYS[3], '1', 'NX', 'PX', 60000) then
  for moment, count in string.gmatch(ARGV[8], '(%d+),(%d+)') do
    local cell = math.floor(tonumber(moment) / CELL_US)
    take_back(total, cell, tonumber(count))
    take_back(channel, cell, tonumber(count))
  end
end

local reply
local limited = {}
for _, pace in ipairs({ total, channel }) do
  if pace.rate > 0 then
    limited[#limited + 1] = pace
    measure(pace)
  end
end
if total.paused then
  reply = { 'paused' }
elseif #limited == 0 then
  reply = { 'unlimited' }
else
  reply = { 'granted', whole(now_us) }
  local wanted = tonumber(ARGV[1])
  for cell = first, final do
    local count = wanted
    for _, pace in ipairs(limited) do
      count = math.min(count, room(pace, cell))
    end
    if count > 0 then
      give(total, cell, count)
      give(channel, cell, count)
      wanted = wanted - count
      reply[#reply + 1] = whole(cell * CELL_US)
      reply[#reply + 1] = whole(count)
    end
  end
  if #reply == 2 then
    local at_us = (final + 1) * CELL_US
    for _, pace in ipairs(limited) do
      at_us = math.max(at_us, pace.due_us - CREDIT_US, pace.from * CELL_US)
    end
    reply = { 'wait', whole(math.ceil(at_us - horizon_us)) }
  end
end
save_pace(total)
save_pace(channel)
return reply
