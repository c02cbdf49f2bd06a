-- Ends a claim. KEYS: the delivery's keys. ARGV: claimant · how long a finished delivery is remembered (ms), 0 to give
-- it back. Returns 1 if the delivery was the claimant's, or free to be finished.
local held = redis.call('MGET', unpack(KEYS))
local lives = tonumber(ARGV[2])
if lives > 0 then
  for i = 1, #KEYS do
    if held[i] and held[i] ~= ARGV[1] then return {0} end
  end
  for i = 1, #KEYS do redis.call('SET', KEYS[i], 'F', 'PX', ARGV[2]) end
  return {1}
end
local all = 1
for i = 1, #KEYS do
  if held[i] == ARGV[1] then redis.call('DEL', KEYS[i]) else all = 0 end
end
return {all}
