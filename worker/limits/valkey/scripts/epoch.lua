-- Since when does this Valkey remember? A server that was started again may have lost what it last heard, and one without
-- the mark has lost all: either way its memory begins now.
-- KEYS  the mark    Returns microseconds as text, and '1' where there was no mark at all.

local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local mark = redis.call('HMGET', KEYS[1], 'run', 'born')
if mark[1] == run and mark[2] then
  return {mark[2], '0'}
end
local time = redis.call('TIME')
local born = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('HSET', KEYS[1], 'run', run, 'born', born)
return {born, mark[1] and '0' or '1'}
