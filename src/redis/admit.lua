-- Claims a delivery and counts its request. If one of them is denied, neither takes effect.
-- KEYS: the delivery's keys, then the quota's.
-- ARGV: claimant · lease (ms) · burst, 0 without a quota · period (µs) · deadline in server time (µs), negative to
-- return the time too, 0 if unknown · in tests, the time (µs).
-- Returns how far ahead the quota is (µs) if both are granted and the time was not requested. Otherwise returns the
-- outcome, the server's time (µs) and the values of the outcome.
-- A call costs more than the arithmetic between calls, so SET NX claims a free key, the usual case, in one call.
local call, claimant, lease, now, lives = redis.call, ARGV[1], ARGV[2], ARGV[6], 60000
if now then
  now = now + 0
else
  local time = call('TIME')
  now, lives = time[1] * 1000000 + time[2], nil
end
local deadline, with_time = ARGV[5] + 0, false
if deadline <= 0 then deadline, with_time = -deadline, true end
if deadline > 0 and now > deadline then return {4, now} end

local burst, claims = ARGV[3] + 0, #KEYS
if burst > 0 then claims = claims - 1 end

local taken, again, finished, wait = {}, 0, false, nil
for i = 1, claims do
  local set = redis.pcall('SET', KEYS[i], claimant, 'NX', 'PX', lease)
  if set and set.ok then
    taken[#taken + 1] = KEYS[i]
  else
    local holder = call('GET', KEYS[i])
    if holder == claimant then
      again = again + 1
    elseif holder == 'F' then
      finished = true
    elseif holder then
      wait = math.max(wait or 1, call('PTTL', KEYS[i]))
    elseif set then
      -- SET failed, out of memory for example, and the key does not exist: return the error.
      return set
    end
  end
end

-- GCRA: the quota is replenished at `whole`, at most one window ahead unless the server's clock was set back.
local refusal, ahead = nil, 0
if finished then
  refusal = {1, now}
elseif wait then
  refusal = {2, now, wait}
elseif burst > 0 then
  local quota, period, format = KEYS[claims + 1], ARGV[4] + 0, string.format
  local window = period * burst
  if again > 0 and again == claims then
    -- A retry whose first reply was lost: the request is already counted.
    local whole = call('GET', quota)
    if whole then ahead = math.max(0, math.min(whole - now, window)) end
  else
    -- Assume that the quota is replenished, the usual case: then this one call reads and counts.
    ahead = period
    local whole = call('SET', quota, format('%d', now + ahead), 'GET', 'PX', lives or format('%d', (ahead + 999) / 1000))
    if whole and whole - now > 0 then
      local before = math.min(whole - now, window)
      if before + period > window then
        refusal, ahead = {3, now, before + period - window, before}, before
      else
        ahead = before + period
      end
      call('PSETEX', quota, lives or format('%d', (ahead + 999) / 1000), format('%d', now + ahead))
    end
  end
end
if refusal then
  -- Keys that the claimant held before the call stay as they are.
  for i = 1, #taken do call('DEL', taken[i]) end
  return refusal
end
-- A claimant that held keys before gets a new lease for them.
for i = 1, again > 0 and claims or 0 do call('PEXPIRE', KEYS[i], lease) end
if with_time then return {0, now, ahead} end
return ahead
