-- Installs MySQL's state of a product where Redis has none or an older one, under a new epoch.
--
-- Invariant: newer state is never overwritten, and no round is given out twice; an installed lane has no holder, and
-- its epoch is above both the one in Redis and the one in MySQL. Every open lane that is not paused leaves with a live
-- entry. What Redis keeps and MySQL has otherwise is logged again. A product that Redis holds from before a restart
-- gets another tag: changes after the one that it has may have been lost. One that Redis does not hold has MySQL's.
--
-- include shared/server.lua
-- include shared/lane.lua
-- include shared/round.lua
-- include shared/product.lua
--
-- KEYS[1] {ns:P}:product:<id>  hash
-- KEYS[2] {ns:P}:products      zset
-- KEYS[3] {ns:P}:log           stream
-- KEYS[4..] {ns:P}:lane:<id>:<channel> hash, {ns:P}:jobs:<channel> stream, {ns:P}:jobs:<channel>:again stream; per channel
-- ARGV[1] product id
-- ARGV[2] stock in MySQL, units
-- ARGV[3] round in MySQL
-- ARGV[4] version of that state in MySQL
-- ARGV[5] the new epoch, reserved and committed in MySQL
-- ARGV[6] epoch of that state in MySQL
-- ARGV[7] 1 when it is paused in MySQL, else empty
-- ARGV[8..] per channel: its name, then its lane as a JSON object of fields of the hash, or empty
--
-- Reply done <lanes>     how many lanes were installed
-- Reply newer <epoch>    nothing was written: Redis is at this epoch already, or at a later one; the same call made
--   again is answered so too, and the caller goes on with a new epoch
-- Cost: O(channels).

local product = read_hash(KEYS[1])
local epoch = tonumber(ARGV[5])
if (tonumber(product.epoch or '0') or 0) >= epoch then
  return { 'newer', product.epoch }
end

local function older(fields, e, v)
  local own = tonumber(fields.epoch or '0') or 0
  return own < e or (own == e and (tonumber(fields.version or '0') or 0) < v)
end

local function same(fields, state)
  return fields.epoch == state.epoch and fields.version == state.version
end

-- A round that MySQL has and nobody began, and that Redis never gave out: Redis came back without the write that queued
-- it, and the holder of its lane went on. In MySQL it waits, or is current once the round before it has ended there.
local given_out = tonumber(product.round or '0') or 0

local function adopt_unbegun(lane, state)
  local round, queued_at = state.waiting, state.waiting_at
  if round == '' and state.status == 'QUEUED' and state.started_at == '' then
    round, queued_at = state.round, state.queued_at
  end
  local number = tonumber(round) or 0
  if number <= given_out or number <= count(lane, 'round') or lane.fields.waiting ~= '' then
    return
  end
  if is_open(lane) then
    put(lane, 'waiting', round)
    put(lane, 'waiting_at', queued_at)
    log_waiting(lane)
  else
    queue_round(lane, round, queued_at)
    log_round(lane)
  end
end

local _, now_ms = now()
local changes = { epoch = ARGV[5], run = server_run() }
local is_older = product.stock and older(product, tonumber(ARGV[6]), tonumber(ARGV[4]))
if not product.stock then
  changes.tag = ARGV[6] .. '-' .. ARGV[4]
elseif product.run == changes.run and not is_older then
  changes.tag = tag_of(product)
end
if not product.stock or is_older then
  changes.stock = ARGV[2]
  changes.paused = ARGV[7]
  changes.round = whole(math.max(tonumber(product.round or '0') or 0, tonumber(ARGV[3])))
  changes.version = whole(math.max(tonumber(product.version or '0') or 0, tonumber(ARGV[4])))
end
change_product(KEYS[1], KEYS[3], KEYS[2], ARGV[1], product, changes, now_ms)

local installed = 0
for i = 0, (#KEYS - 3) / 3 - 1 do
  local at = 4 + i * 3
  local lane = open_lane(KEYS[at], KEYS[at + 1], KEYS[at + 2], KEYS[3])
  local given = ARGV[9 + i * 2]
  local state = given ~= '' and cjson.decode(given) or nil
  if state then
    if lane.fields.status == '' or older(lane.fields, tonumber(state.epoch), tonumber(state.version)) then
      installed = installed + 1
      drop_entry(lane)
      revoke(lane)
      for field, value in pairs(state) do
        put(lane, field, value)
      end
      put(lane, 'product', ARGV[1])
      put(lane, 'channel', ARGV[8 + i * 2])
      put(lane, 'epoch', ARGV[5])
      log_round(lane)
      log_waiting(lane)
    else
      adopt_unbegun(lane, state)
    end
  end
  if lane.fields.status ~= '' and is_sound(lane) and lane.fields.epoch ~= ARGV[5] and not (state and same(lane.fields, state)) then
    log_round(lane)
    log_waiting(lane)
  end
  local open = is_open(lane)
  if lane.fields.status ~= '' then
    put(lane, 'paused', product.paused)
  end
  if open and product.paused ~= '1' then
    ensure_entry(lane, 'j')
  end
  save(lane)
end
return { 'done', whole(installed) }
