-- Nobody of this account sends until then; the longest hold wins. Whoever is trying the system now has failed:
-- forgetting it here keeps its release from opening the gates.
-- KEYS  the account's hash    ARGV  length in microseconds, reason    Returns until, reason, now.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'hold', 'reason')
local until_, reason = now + tonumber(ARGV[1]), ARGV[2]
if held[1] and tonumber(held[1]) >= until_ then
  until_, reason = tonumber(held[1]), held[2] or ''
end
redis.call('HSET', KEYS[1], 'hold', string.format('%.0f', until_), 'reason', reason, 'probe', '1')
redis.call('HDEL', KEYS[1], 'prober', 'prober_until')
local ttl = math.ceil((until_ - now) / 1000) + 600000
if ttl > redis.call('PTTL', KEYS[1]) then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return {until_, reason, now}
