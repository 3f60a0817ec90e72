-- Nobody of this account sends until then; the longest hold wins. Those who are trying the system now have failed: their
-- release finds a hold that is younger than their grant, and opens nothing.
-- KEYS  the account's hash    ARGV  length in microseconds, reason, longest length of one that grows (0: it doesn't)
-- Returns until, reason, now.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'hold', 'reason', 'fails')
local length, longest, before = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(held[1] or '0')
local fails = tonumber(held[3] or '0')
if before <= now then
  -- Several requests of one moment fail together: they count as one.
  redis.call('HSET', KEYS[1], 'fails', fails + 1)
  if longest > 0 then
    length = math.max(length, math.min(length * 2 ^ math.min(fails, 20), longest))
  end
end
local until_, reason = now + length, ARGV[2]
if before >= until_ then
  until_, reason = before, held[2] or ''
end
redis.call('HSET', KEYS[1], 'hold', string.format('%.0f', until_), 'reason', reason, 'ramp', '1')
local ttl = math.ceil((until_ - now) / 1000) + 600000
if ttl > redis.call('PTTL', KEYS[1]) then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return {string.format('%.0f', until_), reason, string.format('%.0f', now)}
