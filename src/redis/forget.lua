-- Forgets a finished delivery id. KEYS: the id. Returns 1 if it was finished.
if redis.call('GET', KEYS[1]) ~= 'F' then return 0 end
return redis.call('DEL', KEYS[1])
