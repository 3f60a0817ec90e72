-- One more failure of an account's system. What was counted is forgotten when nothing fails for a while, or by `cleared`.
-- KEYS  the account's failures: a hash of n, everywhere, until, since, and s:<who> for each who failed
-- ARGV  who, '1' if nobody was let in at all, how long to remember (microseconds)
-- Returns n, everywhere, how many different ones, until when the circuit is open (0: it never was), since when, now.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
local everywhere = redis.call('HINCRBY', KEYS[1], 'everywhere', tonumber(ARGV[2]))
if n <= 1000 then
  redis.call('HSET', KEYS[1], 's:' .. ARGV[1], 1)
end
local row = redis.call('HMGET', KEYS[1], 'until', 'since')
local who = redis.call('HLEN', KEYS[1]) - 2 - (row[1] and 2 or 0)
local ttl = math.ceil(math.max(now + tonumber(ARGV[3]), tonumber(row[1] or '0') + tonumber(ARGV[3])) / 1000 - now / 1000)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
return {n, everywhere, who, row[1] or '0', row[2] or '0', string.format('%.0f', now)}
