-- What wrk asks for: METHOD PATH COUNT TOKEN; `{}` in the path is a number from 1 to COUNT, each in turn.
local method, path, count, at

function init(args)
  method, path, count, at = args[1], args[2], tonumber(args[3]), 0
  if args[4] then
    wrk.headers['Authorization'] = 'Bearer ' .. args[4]
  end
end

function request()
  at = at % count + 1
  return wrk.format(method, (path:gsub('{}', tostring(at))))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"failed":%d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
