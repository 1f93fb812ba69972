-- Gives a consumer entries for the places that it has free, all by one call: those who wait for a place wait for its answer.
--
-- Invariant: what was given is in the reply, whatever fails after it; an error means that nothing was given.
--
-- include shared/server.lua
-- include shared/lane.lua
--
-- KEYS[1] {ns:P}:jobs:<channel>       stream
-- KEYS[2] {ns:P}:jobs:<channel>:again stream
-- ARGV[1] consumer that takes them
-- ARGV[2] the most entries
-- ARGV[3] so many of them first from those that were handed back
-- ARGV[4] so many of them then for the newest, out of turn, if places are left
--
-- Reply given {<j|a> <id> <product> <trace>} ...  in this order: handed back first, newest, fresh, handed back;
--   each once; product and trace are empty where they cannot be read
-- Cost: O(entries).

-- So many more of the newest entries are tried, where others have taken some of them out of turn.
local TRIED_MORE = 3
-- Nobody's entry is idle for so long: with FORCE what nobody has is claimed, and nothing else.
local NEVER_MS = '4294967295'

local consumer, places = ARGV[1], tonumber(ARGV[2])
local given, count, named = { 'given' }, 0, {}

-- The reply is text, whatever somebody else has written on the stream.
local function legible(text, pattern)
  return text and #text <= 64 and string.find(text, pattern) and text or ''
end

local function give(letter, entry)
  local id, fields = entry[1], by_name(entry[2])
  if named[letter .. id] then
    return
  end
  named[letter .. id] = true
  given[#given + 1] = letter
  given[#given + 1] = id
  given[#given + 1] = legible(fields.product, '^%-?%d+$')
  given[#given + 1] = legible(fields.traceparent, '^[%x-]+$')
  count = count + 1
end

-- Returns the error, if there is one.
local function read(letter, stream, most)
  local found = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', most, 'STREAMS', stream, '>')
  if found and found.err then
    return found
  end
  for _, entry in ipairs(found and found[1][2] or {}) do
    give(letter, entry)
  end
end

-- Its turn still comes, if it is there by then: whoever is given it finds the lane held.
local function read_newest(stream, most)
  local entries = redis.call('XREVRANGE', stream, '+', '(' .. last_delivered(stream), 'COUNT', most + TRIED_MORE)
  local at, enough = 1, count + most
  -- As many as are still wanted, until there are enough or none is left to try.
  while at <= #entries and count < enough do
    local tried, claim = {}, { 'XCLAIM', stream, GROUP, consumer, NEVER_MS }
    for _ = 1, math.min(enough - count, #entries - at + 1) do
      tried[entries[at][1]] = entries[at]
      claim[#claim + 1] = entries[at][1]
      at = at + 1
    end
    claim[#claim + 1] = 'FORCE'
    claim[#claim + 1] = 'JUSTID'
    -- Those that nobody has, newest first as they were named.
    for _, id in ipairs(redis.call(unpack(claim))) do
      give('j', tried[id])
    end
  end
end

local again_first = tonumber(ARGV[3])
if again_first > 0 then
  local failed = read('a', KEYS[2], again_first)
  if failed then
    return failed
  end
end
local newest = math.min(tonumber(ARGV[4]), places - count)
if newest > 0 then
  -- What was given before is in hand, whatever becomes of this.
  pcall(read_newest, KEYS[1], newest)
end
local failed = count < places and read('j', KEYS[1], places - count)
if not failed and again_first == 0 and count < places then
  failed = read('a', KEYS[2], places - count)
end
return failed and count == 0 and failed or given
