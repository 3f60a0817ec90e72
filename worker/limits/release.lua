-- A request is over: free its slot. If it was the one that tried the system after a hold, say how that went.
-- KEYS  the account's hash, its slots    ARGV  token, '1' if it went well

redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[1], 'prober') == ARGV[1] then
  if ARGV[2] == '1' then
    redis.call('HDEL', KEYS[1], 'probe', 'prober', 'prober_until')
  else
    redis.call('HDEL', KEYS[1], 'prober', 'prober_until')
  end
end
return 1
