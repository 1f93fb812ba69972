-- The calls of one hold of a lane: who may make them, and what is answered twice.
--
-- Invariant: only the holder of the token settles, one call after the other, each from the cursor that the
-- last one left, and only a lane that is as a holder leaves it. A call that the client sent twice is answered from the lane's memory.

-- A reply of one word is kept as it is.
local function remembered(text)
  return string.sub(text, 1, 1) == '[' and cjson.decode(text) or { text }
end

-- How many calls the lane's hold has made.
local function calls_made(lane)
  return tonumber(string.match(lane.fields.call, '^%S+ (%d+) ') or 0)
end

-- Returns nil when the call may go on, else the reply to give.
local function check_hold(lane)
  local token, seq, cursor = ARGV[1], ARGV[2], ARGV[3]
  local named = token .. ' ' .. seq .. ' '
  if token ~= '' and string.sub(lane.fields.call, 1, #named) == named then
    return remembered(string.sub(lane.fields.call, #named + 1))
  end
  if not is_held_by(lane, token) or lane.fields.status ~= 'IN_PROGRESS' or not is_sound(lane)
    or calls_made(lane) + 1 ~= tonumber(seq) or lane.fields[position(lane)] ~= cursor then
    return { 'lost' }
  end
  return nil
end

-- Remembers the reply of this call, `token seq reply`, writes everything, and gives the reply. The next hold of the lane forgets it.
local function answer_hold(lane, reply)
  put(lane, 'call', ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. (reply[2] and cjson.encode(reply) or reply[1]))
  save(lane)
  return reply
end
