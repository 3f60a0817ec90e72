-- One more wrong token from an address. What was guessed beyond the tries that there are is owed, and so delays the next.
-- KEYS  the address's    ARGV  how long a try takes to come back, the most that can be owed (both in microseconds)
-- Returns how long it takes until all tries are there again, as text.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
full_at = math.min(full_at, now + tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', string.format('%.0f', math.ceil((full_at - now) / 1000)))
return string.format('%.0f', full_at - now)
