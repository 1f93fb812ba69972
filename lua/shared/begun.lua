-- What a hold is told at its begin.

-- Whether its first people are authorised: `most` entries in the log are too many.
local function may_start(lane, stock, log, most)
  return tonumber(stock) > 0 and lane.fields.cancel == '' and lane.fields.paused ~= '1' and log_length(log) < tonumber(most)
end

-- The words of a `go` of begin.lua.
local function begun(lane, starts)
  local f = lane.fields
  return { 'go', f.round, f.from, f[position(lane)], f.upto, is_retrying(lane) and '' or f.ahead, f.tries, f.tried_at,
    f.retry_of, f.epoch, f.version, starts and '1' or '', trace_of(lane) }
end
