-- Claims a delivery and counts its request, or says why not. Nothing is written unless all of it is.
-- KEYS: the delivery's keys, then the quota's.
-- ARGV: claimant · lease (ms) · burst, 0 without a quota · period (µs) · the server time after which nobody waits for
-- the answer any more (µs, 0 if unknown) · in tests, the time (µs).
-- Returns the verdict, the server's time (µs) and what belongs to the verdict.
local call, now, lives = redis.call, tonumber(ARGV[6]), 60000
if not now then
  local time = call('TIME')
  now, lives = time[1] * 1000000 + time[2], nil
end
local deadline = tonumber(ARGV[5])
if deadline > 0 and now > deadline then return {4, now} end

local burst, claims = tonumber(ARGV[3]), #KEYS
if burst > 0 then claims = claims - 1 end
local held = call('MGET', unpack(KEYS))
local wait
for i = 1, claims do
  if held[i] == 'F' then return {1, now} end
  if held[i] and held[i] ~= ARGV[1] then wait = math.max(wait or 1, call('PTTL', KEYS[i])) end
end
if wait then return {2, now, wait} end

-- GCRA: the quota is whole again at `whole`, never further ahead than its window unless the server's clock was set back.
local ahead = 0
if burst > 0 then
  local period = tonumber(ARGV[4])
  local whole = tonumber(held[claims + 1]) or now
  if whole > now + period * burst then whole = now + period * burst end
  local earliest = whole - period * (burst - 1)
  if now < earliest then return {3, now, earliest - now, whole - now} end
  if whole < now then whole = now end
  whole = whole + period
  ahead = whole - now
  -- Numbers are written out here: the server's own way takes longer.
  call('SET', KEYS[claims + 1], string.format('%.0f', whole), 'PX', string.format('%d', lives or math.ceil(ahead / 1000)))
end
for i = 1, claims do call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2]) end
return {0, now, ahead}
