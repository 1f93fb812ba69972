-- The calls of one hold of a lane: who may make them, and what is answered twice.
--
-- Invariant: only the holder of the token settles, one call after the other, each from the cursor that the
-- last one left, and only a lane that is as a holder leaves it. A call that the client sent twice is answered from the lane's memory.

-- A reply of one word is kept as it is.
local function remembered(text)
  return string.sub(text, 1, 1) == '[' and cjson.decode(text) or { text }
end

-- Returns nil when the call may go on, else the reply to give.
local function check_hold(lane)
  local token, seq, cursor = ARGV[1], ARGV[2], ARGV[3]
  local current = lane.fields.token == token
  if token == '' or not (current or lane.fields.was_token == token) then
    return { 'lost' }
  end
  if lane.fields.seq == seq and lane.fields.reply ~= '' then
    return remembered(lane.fields.reply)
  end
  if lane.fields.status ~= 'IN_PROGRESS' or not is_sound(lane) then
    return { 'lost' }
  end
  if not current or count(lane, 'seq') + 1 ~= tonumber(seq) or lane.fields[position(lane)] ~= cursor then
    return { 'lost' }
  end
  return nil
end

-- Remembers the reply of this call, writes everything, and gives the reply.
local function answer_hold(lane, reply)
  put(lane, 'seq', ARGV[2])
  put(lane, 'reply', reply[2] and cjson.encode(reply) or reply[1])
  save(lane)
  return reply
end
