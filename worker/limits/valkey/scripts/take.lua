-- May one more request leave, and when? All or nothing: a refusal takes neither rate nor slot of any scope.
-- The clock is Valkey's, because workers' clocks differ. pace.py says the rule of the rate in Python.
--
-- KEYS  a hash per scope: the account's; then those of narrower ones, all of whose requests count in the account's, too
-- ARGV  1 lane, 2 connection, 3 how long a request may take at most, 4 furthest reservation, 5 how much further one may
--       reserve that was passed over, 6 cost, 7 max_wait, 8 token, 9 epoch, 10 time up to which the past is unknown (0: it
--       is known), 11 end of a hold that the caller remembers (0: none), 12 its reason, 13 how long a slot is held as a
--       rule, 14 a block of a quota that the caller fetched ('': none: scope, quota, how much, period, closed until, used
--       by then, or until when a block of a window may be used); then per scope:
--         shape, format, how long to keep it, slots (0: any), slots to leave, windows, quotas;
--         per window: interval, burst, assumed, horizon, period, block, blocks, reserve, name;
--         per quota: id of its period, limit for this lane
-- Of a scope's hash: `id` epoch and shape, `p` packed: last grant, when the key expires, then tat and count per window,
-- and left, period, closed until, used per quota; `hold`, `reason`, `ramp` (requests that may try at a time after a
-- hold), `slow` (packed: interval, until, next), `w<lane>` (since when a lane is passed over). A window that is
-- counted in blocks has for a period the cost for which it is closed, negative, and for `used` the time after which what is
-- left of the block is void.
-- Returns text: verdict at now place slots trials reason. Times are microseconds.

local lane, connection, lease, furthest = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local cost, max_wait, token, epoch, unknown_until = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9], tonumber(ARGV[10])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Numbers go to commands as text: Lua's own form keeps only 14 digits, and a time has 16.
local function whole(number)
  return string.format('%.0f', number)
end

-- Keep a key for so long at least: others may want it for longer.
local function keep_for(key, milliseconds)
  if milliseconds > redis.call('PTTL', key) then
    redis.call('PEXPIRE', key, whole(milliseconds))
  end
end

local function answer(verdict, at, place, reason)
  return string.format('%s %.0f %.0f %.0f 0 0 %s', verdict, at, now, place, reason or '')
end

-- A scope that this Valkey doesn't know in this form: it is new or was idle, the limits were changed, or Valkey lost its
-- memory. What may have been granted before counts as granted.
local function recall(key, stored, packed, shape, size)
  local values, since, id = {}, 0, epoch .. shape
  for n = 1, size do values[n] = 0 end
  if stored then
    local born, before = string.match(stored, '^(%d+)(.*)$')
    local last = struct.unpack('<d', packed)
    if before == shape and tonumber(born) >= tonumber(epoch) then
      return nil, 0, stored
    end
    since = last
    if tonumber(born) < tonumber(epoch) then
      since = math.max(since, tonumber(epoch) + furthest)
    end
  else
    local born = redis.call('HGET', 'headrace:budget:epoch', 'born')
    if not born then
      born = whole(now)
      local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
      redis.call('HSET', 'headrace:budget:epoch', 'run', run, 'born', born)
    end
    since, id = tonumber(born) + furthest, born .. shape
  end
  return values, since, id
end

-- Who is refused stands in a line, a place per connection and lane, so that all who were refused come back one by one, and
-- one with many runs doesn't send one with a single run to the end. An estimate: it gives no right.
local function place_in_line(key, at, pace)
  local line, member = key .. ':line', lane .. connection
  local found, mine, side_by_side, furthest = redis.call('HGETALL', line), at, 1, at
  for n = 1, #found, 2 do
    local ends = tonumber(found[n + 1])
    if found[n] == member then
      mine = math.max(mine, ends)
    elseif ends < now - 60000000 then
      redis.call('HDEL', line, found[n])
    elseif ends > at and string.sub(found[n], 1, 1) <= lane then
      side_by_side = side_by_side + 1
    end
    furthest = math.max(furthest, ends)
  end
  if #found > 1000 then redis.call('DEL', line) end
  local ends = math.min(mine + pace * side_by_side, at + 3600000000)
  redis.call('HSET', line, member, whole(ends))
  redis.call('PEXPIRE', line, whole(math.ceil((math.max(ends, furthest) - now) / 1000) + 60000))
  return mine
end

local function passed_for_long(since, interval)
  return since and now - tonumber(since) > math.max(10000000, 20 * interval)
end

-- Whether this lane was passed over for long, or this connection's place in the line has come.
local function passed_over(row, interval)
  if passed_for_long(row[6], interval) then return true end
  -- It may come a little late, and its turn is used up by this.
  local ends = redis.call('HGET', KEYS[1] .. ':line', lane .. connection)
  local due = ends and tonumber(ends) - interval <= now
  if due then redis.call('HDEL', KEYS[1] .. ':line', lane .. connection) end
  return due
end

-- 1. Look at every scope, and change nothing but what was found out of date.
local scopes, a = {}, 14
local deposit
if ARGV[14] ~= '' then
  deposit = {}
  for number in string.gmatch(ARGV[14], '%S+') do deposit[#deposit + 1] = tonumber(number) end
end
local at, blocker, base, tolerance, apart = now, 1, nil, 0, false
local turn, shut, waits_since = nil, false, nil
for i, key in ipairs(KEYS) do
  local shape, format, slots = ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 4])
  local windows, quotas = tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7])
  local size = 2 + 2 * windows + 4 * quotas
  local row = redis.call('HMGET', key, 'id', 'p', 'hold', 'ramp', 'slow', 'w' .. lane)
  local scope = {key = key, row = row, a = a, size = size, windows = windows, quotas = quotas, slots = slots, format = format}
  local values, since, id = nil, 0, epoch .. shape
  if size == 2 and slots == 0 then
    values, scope.id = {0, 0}, row[1]
  elseif row[1] ~= id then
    values, since, id = recall(key, row[1], row[2], shape, size)
    scope.id, scope.anew = id, values ~= nil
  end
  if not values then
    values = {struct.unpack(format, row[2])}
    if windows > 0 and values[1] > now + 45000000 then
      -- Nobody reserves so far ahead: the clock was set back, and what is remembered is of another time.
      for n = 1, size do values[n] = 0 end
      since, scope.id, scope.anew, scope.dirty = now + furthest, row[1], true, true
    end
  end
  since = math.max(since, unknown_until)
  local hold, own = tonumber(row[3] or '0'), now
  if i == 1 then
    waits_since = row[6]
    -- A hold of exactly 0 was lifted by hand.
    local remembered = tonumber(ARGV[11])
    if remembered > now and remembered > hold and row[3] ~= '0' then
      hold, row[4] = remembered, '1'
      redis.call('HSET', key, 'hold', whole(hold), 'reason', ARGV[12], 'ramp', '1')
      keep_for(key, math.ceil((hold - now) / 1000) + 600000)
    end
  end
  a = a + 7
  local pace = 0
  for w = 1, windows do
    local interval, burst, horizon = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 4])
    local period, reserve, at_tat = tonumber(ARGV[a + 5]), tonumber(ARGV[a + 8]), 1 + 2 * w
    if period > 0 and passed_for_long(waits_since, interval) then
      -- For once this lane leaves nothing to others: `assumed` is twice the whole burst.
      burst, reserve = tonumber(ARGV[a + 3]) / interval / 2, 0
    end
    local tat, count = values[at_tat], values[at_tat + 1]
    if since > 0 then
      tat = math.max(tat, since + tonumber(ARGV[a + 3]))
    end
    if tat > now + horizon then
      -- It can't be by rights: the clock was set back. Written at once, so that the wait gets shorter.
      tat, scope.dirty = now + horizon, true
    end
    values[at_tat] = tat
    own = math.max(own, tat + (cost - burst) * interval)
    if period > 0 then
      local block, blocks = tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7])
      local newest = math.floor((count + cost + reserve - 1) / block)
      if newest >= blocks and newest > math.floor((count - 1) / block) then
        local place = 8 * (newest % blocks)
        local ended = redis.call('GETRANGE', key .. ARGV[a + 9], place, place + 7)
        if #ended == 8 then
          own = math.max(own, struct.unpack('<d', ended) + period)
        end
      end
    end
    pace = math.max(pace, interval)
    a = a + 9
  end
  if row[5] then
    local interval, until_, next_ = struct.unpack('<ddd', row[5])
    if until_ > now and until_ <= now + 1000000000 then
      scope.slow = {interval, until_, next_}
      own, pace = math.max(own, math.min(next_, until_)), math.max(pace, interval)
    else
      redis.call('HDEL', key, 'slow')
    end
  end
  if windows > 0 then own = math.max(own, values[1]) end
  for q = 1, quotas do
    local v, ends, most = 3 + 2 * windows + 4 * (q - 1), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
    if ends == 0 and values[v + 3] <= now then values[v] = 0 end
    if deposit and deposit[1] == i - 1 and deposit[2] == q - 1 then
      local left, mark = (ends == 0 or values[v + 1] == deposit[4]) and values[v] or 0, deposit[6]
      if left > 0 then
        mark = ends == 0 and math.min(values[v + 3], mark) or math.max(values[v + 3], mark)
      end
      values[v], values[v + 1], values[v + 2], values[v + 3] = left + deposit[3], deposit[4], deposit[5], mark
      scope.dirty = true
      redis.call('HDEL', key, 'filling')
    end
    local left, closed = values[v], values[v + 2]
    if ends > 0 and values[v + 1] ~= ends then
      scope.refill = q
    else
      if left < cost and closed > now and (ends > 0 or cost >= -values[v + 1]) then
        own, shut = math.max(own, closed), true
      elseif left < cost then
        scope.refill = q
      end
      if ends > 0 and values[v + 3] - left + cost > most then own = math.max(own, ends) end
    end
    if ends > 0 then turn = math.min(turn or ends, ends) end
    a = a + 2
  end
  -- After the quotas: only a wait that is a hold's is told as one, and told on by whoever hears of it.
  if hold > own then own, scope.held = hold, true end
  scope.values, scope.pace = values, pace
  if pace > 0 then
    -- Reserving now for what a narrower scope allows only later would make all others of the wide one wait with it.
    if base and own > base + tolerance then
      apart = true
    end
    base = math.max(base or 0, at, own)
    tolerance = math.max(tolerance, pace / 4)
  end
  if own > at then at, blocker = own, i end
  scopes[i] = scope
end

-- A remembered clock that ran ahead must not stand in the way for ever, even of those who are refused.
for _, scope in ipairs(scopes) do
  if scope.dirty then
    if scope.anew then
      for w = 1, scope.windows do redis.call('DEL', scope.key .. ARGV[scope.a + 7 + 9 * w]) end
    end
    local packed = struct.pack(scope.format, unpack(scope.values, 1, scope.size))
    redis.call('HSET', scope.key, 'id', scope.id or scope.row[1], 'p', packed)
    keep_for(scope.key, math.ceil(tonumber(ARGV[scope.a + 3]) / 1000))
  end
end

-- 2. Too early, or not now? Then say when to come again.
local blocking = scopes[blocker]
local pace = math.max(blocking.pace * cost, 20000)
if at - now > max_wait and (at - now > max_wait + tonumber(ARGV[5]) or not passed_over(scopes[1].row, scopes[1].pace)) then
  if not scopes[1].row[6] and scopes[1].row[1] then
    redis.call('HSET', KEYS[1], 'w' .. lane, whole(now))
  end
  local verdict, reason = 'too_early', ''
  if blocking.held then
    verdict, reason = 'held', redis.call('HGET', blocking.key, 'reason') or ''
  end
  return answer(verdict, at, place_in_line(KEYS[1], at, pace), reason)
end
if apart and at > now then
  local place = place_in_line(blocking.key, at, pace)
  return answer(place - now > max_wait and 'too_early' or 'again', place, place)
end
if turn and at >= turn then
  -- By then another day's quota counts: whoever asks then takes of that one.
  return answer('again', math.max(now, turn), math.max(now, turn))
end
if shut then return answer('again', at, at) end
for i, scope in ipairs(scopes) do
  if scope.refill then
    -- One fetches, or each of those who wait would fetch a block.
    local filling = tonumber(redis.call('HGET', scope.key, 'filling') or '0')
    if now < filling and filling <= now + 5000000 then
      return answer('again', now + 20000, now + 20000)
    end
    redis.call('HSET', scope.key, 'filling', whole(now + 5000000))
    keep_for(scope.key, 60000)
    return answer('refill', at, at, (i - 1) .. ' ' .. (scope.refill - 1))
  end
end
local bit, given, trials = 1, 0, 0
for i, scope in ipairs(scopes) do
  local most, ramp = scope.slots, tonumber(scope.row[4] or '0')
  if most > 0 and not (scope.row[6] and now - tonumber(scope.row[6]) > 10000000) then
    most = most - tonumber(ARGV[scope.a + 5])
  end
  local trial = ramp > 0 and (most == 0 or ramp < most)
  if trial then most = ramp end
  if most > 0 then
    local slots = scope.key .. ':slots'
    local busy = redis.call('ZCARD', slots)
    if busy >= most then
      busy = busy - redis.call('ZREMRANGEBYSCORE', slots, '-inf', whole(now))
    end
    if busy >= most then
      if not scope.row[6] then redis.call('HSET', scope.key, 'w' .. lane, whole(now)) end
      local held = math.max(tonumber(ARGV[13]), 20000)
      local place = place_in_line(KEYS[1], now + math.min(held, 1000000), held / most)
      return answer(trial and 'probing' or 'no_slot', at, place)
    end
    scope.busy = busy
    given = given + bit
  end
  if ramp > 0 then trials = trials + bit end
  bit = bit * 2
end

-- 3. Granted: take it everywhere.
for i, scope in ipairs(scopes) do
  local key, values, windows = scope.key, scope.values, scope.windows
  local keep = tonumber(ARGV[scope.a + 3])
  local renew = scope.busy ~= nil or windows > 0 or scope.quotas > 0
  renew = renew and values[2] < at + keep
  if renew then values[2] = at + 2 * keep + 1000000 end
  local a = scope.a + 7
  for w = 1, windows do
    local interval, period = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 5])
    local v = 1 + 2 * w
    local count = values[v + 1]
    values[v] = math.max(values[v], at) + cost * interval
    values[v + 1] = count + cost
    if period > 0 then
      local block, blocks, ring = tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7]), key .. ARGV[a + 9]
      if scope.anew then redis.call('DEL', ring) end
      for b = math.floor(count / block), math.floor((count + cost - 1) / block) do
        redis.call('SETRANGE', ring, 8 * (b % blocks), struct.pack('<d', at))
      end
      if renew then redis.call('PEXPIRE', ring, whole(math.ceil((values[2] - now) / 1000))) end
    end
    a = a + 9
  end
  for q = 1, scope.quotas do
    local v = 3 + 2 * windows + 4 * (q - 1)
    values[v] = values[v] - cost
  end
  values[1] = math.max(values[1], at)
  if windows > 0 or scope.quotas > 0 or renew then
    local packed = struct.pack(scope.format, unpack(values, 1, scope.size))
    if scope.id and scope.id ~= scope.row[1] then
      redis.call('HSET', key, 'id', scope.id, 'p', packed)
    else
      redis.call('HSET', key, 'p', packed)
    end
  end
  if scope.slow then
    local slow = scope.slow
    redis.call('HSET', key, 'slow', struct.pack('<ddd', slow[1], slow[2], math.max(slow[3], at) + cost * slow[1]))
  end
  if scope.row[6] then redis.call('HDEL', key, 'w' .. lane) end
  if scope.busy then
    redis.call('ZADD', key .. ':slots', whole(at + lease), token)
  end
  if renew or scope.busy == 0 then
    local ttl = math.ceil((values[2] - now) / 1000)
    if renew then keep_for(key, ttl) end
    if scope.busy then redis.call('PEXPIRE', key .. ':slots', whole(ttl)) end
  end
end
return string.format('granted %.0f %.0f 0 %d %d ', at, now, given, trials)
