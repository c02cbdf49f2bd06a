-- Settles a claim. KEYS: the delivery's keys, then its id if it has one. ARGV: claimant · how long to store a finished
-- delivery (ms), 0 to release · how long to store its id (ms), 0 if it has none or to release.
-- Returns 1 if the claimant held the delivery, or if it was free and is now stored as finished.
local held = redis.call('MGET', unpack(KEYS))
local lives, id_lives = tonumber(ARGV[2]), tonumber(ARGV[3])
if lives > 0 then
  for i = 1, #KEYS do
    if held[i] and held[i] ~= ARGV[1] then return {0} end
  end
  for i = 1, #KEYS do
    redis.call('SET', KEYS[i], 'F', 'PX', i == #KEYS and id_lives > 0 and ARGV[3] or ARGV[2])
  end
  return {1}
end
local all = 1
for i = 1, #KEYS do
  if held[i] == ARGV[1] then redis.call('DEL', KEYS[i]) else all = 0 end
end
return {all}
