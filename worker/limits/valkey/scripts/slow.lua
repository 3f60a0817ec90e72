-- The system says how much is left until its window ends: from now on all workers spread that over the time.
-- KEYS  the account's hash    ARGV  microseconds between two requests (0: none is left), microseconds until it ends, reason
-- Returns now. What is slower counts; a word that is more generous than an earlier one of the same time changes nothing.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, until_ = tonumber(ARGV[1]), now + tonumber(ARGV[2])
if interval == 0 then
  if until_ > tonumber(redis.call('HGET', KEYS[1], 'hold') or '0') then
    redis.call('HSET', KEYS[1], 'hold', string.format('%.0f', until_), 'reason', ARGV[3])
  end
else
  local packed, next_ = redis.call('HGET', KEYS[1], 'slow'), now
  if packed then
    local before, ends, at = struct.unpack('<ddd', packed)
    if ends > now then
      interval, until_, next_ = math.max(interval, before), math.max(until_, ends), at
    end
  end
  redis.call('HSET', KEYS[1], 'slow', struct.pack('<ddd', interval, until_, next_))
end
local ttl = math.ceil((until_ - now) / 1000) + 60000
if ttl > redis.call('PTTL', KEYS[1]) then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return string.format('%.0f', now)
