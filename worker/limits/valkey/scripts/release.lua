-- A request that tried the system after a hold is over: free its slots, and let more try if it went well.
-- Twice as many try in each round, as long as all goes well; half as many after a failure; a new hold begins at one.
-- KEYS  the hashes of the scopes in which it tried
-- ARGV  token, '1' if it went well, the time for which it was granted, how many at a time need no more care

for _, key in ipairs(KEYS) do
  redis.call('ZREM', key .. ':slots', ARGV[1])
  local row = redis.call('HMGET', key, 'ramp', 'hold')
  local ramp = tonumber(row[1] or '0')
  if ramp > 0 and tonumber(row[2] or '0') <= tonumber(ARGV[3]) then
    if ARGV[2] ~= '1' then
      redis.call('HSET', key, 'ramp', math.max(1, math.floor(ramp / 2)))
    elseif ramp + 1 >= tonumber(ARGV[4]) then
      redis.call('HDEL', key, 'ramp', 'fails')
    else
      redis.call('HSET', key, 'ramp', ramp + 1)
      redis.call('HDEL', key, 'fails')
    end
  end
end
return 1
