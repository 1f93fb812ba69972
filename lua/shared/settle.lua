-- The settlement that a call of a hold may carry.

-- ARGV[4..13]: cursor, last user, counts by outcome, people, ahead, tries and the first try of the next person.
-- Returns true when there is something to log.
local function settle(lane)
  local moved = ARGV[4] ~= get(lane, 'cursor')
  local news = moved or ARGV[10] ~= '' or ARGV[11] ~= get(lane, 'ahead')
  if moved then
    put(lane, 'cursor', ARGV[4])
    put(lane, 'attempts', '0')
  end
  if ARGV[5] ~= '' then
    put(lane, 'last_user', ARGV[5])
  end
  for i, field in ipairs({ 'sent', 'skipped', 'failed', 'unknown' }) do
    local more = tonumber(ARGV[5 + i])
    if more > 0 then
      put(lane, field, whole(count(lane, field) + more))
    end
  end
  if ARGV[11] ~= get(lane, 'ahead') then
    put(lane, 'ahead', ARGV[11])
  end
  if ARGV[12] ~= get(lane, 'tries') or ARGV[13] ~= get(lane, 'tried_at') then
    put(lane, 'tries', ARGV[12])
    put(lane, 'tried_at', ARGV[13])
  end
  return news
end
