-- Sends the requests of a file in turn: `wrk ... -s wrk.lua URL -- FILE` (headers, an empty line, path and body of each).
local requests, turn = {}, 0

function init(args)
  local in_headers = true
  for line in io.lines(args[1]) do
    if line == "" then
      in_headers = false
    elseif in_headers then
      local name, value = line:match("^(.-): (.*)$")
      wrk.headers[name] = value
    else
      local path, body = line:match("^(%S+) (.*)$")
      if body == "" then
        requests[#requests + 1] = wrk.format("GET", path)
      else
        requests[#requests + 1] = wrk.format("POST", path, nil, body)
      end
    end
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "rate_per_s": %.3f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
