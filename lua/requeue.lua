-- Puts an entry that was received and that nobody works by back in line, for another worker.
--
-- Invariant: the lane keeps its one entry, and a hold is not touched: who reads the new entry waits for its lease.
--
-- include shared/server.lua
-- include shared/lane.lua
--
-- KEYS[1] {ns:P}:lane:<id>:<channel>  hash
-- KEYS[2] {ns:P}:jobs:<channel>       stream
-- KEYS[3] {ns:P}:jobs:<channel>:again stream
-- ARGV[1] entry, `j:<id>` or `a:<id>`
--
-- Reply queued   a new entry stands for the lane, at the end of the same stream
-- Reply stale    the entry stood for nothing any more and is gone
-- Cost: O(1).

local lane = open_lane(KEYS[1], KEYS[2], KEYS[3], '')
if lane.fields.entry ~= ARGV[1] then
  delete_entry(lane, ARGV[1])
  save(lane)
  return { 'stale' }
end
drop_entry(lane)
add_entry(lane, string.sub(ARGV[1], 1, 1))
save(lane)
return { 'queued' }
