-- The settlement that a call of a hold may carry.

local OUTCOMES = { 'sent', 'skipped', 'failed', 'unknown' }

-- ARGV[4..12]: cursor, last user, counts by outcome, ahead, tries and the first try of the next person.
-- Returns true when there is something to log.
local function settle(lane, people)
  local place, retries = position(lane), is_retrying(lane)
  local moved = ARGV[4] ~= lane.fields[place]
  local news = moved or people ~= '' or (not retries and ARGV[10] ~= lane.fields.ahead)
  if moved then
    put(lane, place, ARGV[4])
    reset(lane, 'attempts')
  end
  if ARGV[5] ~= '' and not retries then
    put(lane, 'last_user', ARGV[5])
  end
  local settled = 0
  for i = 1, #OUTCOMES do
    if ARGV[5 + i] ~= '0' then
      local field, more = OUTCOMES[i], tonumber(ARGV[5 + i])
      settled = settled + more
      put(lane, field, whole(count(lane, field) + more))
    end
  end
  if retries then
    -- Each of them was counted as FAILED before.
    put(lane, 'failed', whole(math.max(count(lane, 'failed') - settled, 0)))
  else
    put(lane, 'ahead', ARGV[10])
  end
  if ARGV[11] == '0' then
    reset(lane, 'tries')
  else
    put(lane, 'tries', ARGV[11])
  end
  put(lane, 'tried_at', ARGV[12])
  return news
end
