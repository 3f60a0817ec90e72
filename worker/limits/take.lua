-- May one more request of this account leave, and when? All or nothing: a refusal takes neither rate nor slot.
-- The clock is Valkey's, because workers' clocks differ. policy.py's `step` says the same in Python.
--
-- KEYS  the account's hash, its slots (a sorted set: token -> end of lease)
-- ARGV  interval, burst, requests (interval 0: no rate), cost, max_wait, concurrency (0: any), lease, token,
--       and what the caller remembers: tat, hold, reason (so that a Valkey that lost its data is told again)
-- Returns verdict, at, now, tat, hold, leased, reason of a hold. Times are microseconds.

local account, slots = KEYS[1], KEYS[2]
local interval, burst, requests, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max_wait, concurrency, lease, token = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local known_tat, known_hold, known_reason = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Numbers go to commands as text: Lua's own form keeps only 14 digits, and a time has 16.
local function whole(number)
  return string.format('%.0f', number)
end

-- An idle account vanishes, but never before what is already written for it has passed.
local function keep(key, until_)
  local ttl = math.ceil((until_ - now) / 1000)
  if ttl > redis.call('PTTL', key) then
    redis.call('PEXPIRE', key, whole(ttl))
  end
end

local row = redis.call('HMGET', account, 'tat', 'hold', 'probe', 'prober', 'prober_until', 'reason')
local tat, hold, probe, reason = tonumber(row[1] or '0'), tonumber(row[2] or '0'), row[3], row[6] or ''

if known_hold > now and known_hold > hold then
  hold, probe, reason = known_hold, '1', known_reason
  redis.call('HSET', account, 'hold', whole(hold), 'reason', reason, 'probe', '1')
  keep(account, hold + 600000000)
end

local at = math.max(now, hold)
if interval > 0 then
  tat = math.max(tat, known_tat)
  local horizon = now + 30000000 + requests * interval
  if tat > horizon then
    -- It can't be by rights: the clock was set back, or the limits were changed. Written, so that the wait gets shorter.
    tat = horizon
    redis.call('HSET', account, 'tat', whole(tat))
    keep(account, tat)
  end
  at = math.max(at, tat + (cost - burst) * interval)
end
if at - now > max_wait then
  return {hold >= at and 'held' or 'too_early', at, now, tat, hold, 0, reason}
end

-- After a hold, one request tries the system before the crowd is let in. A prober that died is replaced.
if probe and row[4] and tonumber(row[5] or '0') > now then
  return {'probing', at, now, tat, hold, 0, ''}
end
if concurrency > 0 then
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', whole(now))
  if redis.call('ZCARD', slots) >= concurrency then
    return {'no_slot', at, now, tat, hold, 0, ''}
  end
  redis.call('ZADD', slots, whole(at + lease), token)
  keep(slots, at + lease)
end
if probe then
  redis.call('HSET', account, 'prober', token, 'prober_until', whole(at + lease))
  keep(account, at + lease)
end
if interval > 0 then
  tat = math.max(tat, at) + cost * interval
  redis.call('HSET', account, 'tat', whole(tat))
  -- A dear request looks back as far as a whole window behind tat.
  keep(account, tat + requests * interval)
end
return {'granted', at, now, tat, hold, (probe or concurrency > 0) and 1 or 0, ''}
