"""The scripts that Redis runs, each as one step. Every one may run twice with the same outcome: an answer can be lost.

A hub's keys: 1 a sorted set of connection ids by the time when they were confirmed; 2 a hash of connection id to
member; 3 a sorted set of members, in the order of their letters; 4 a sorted set of connection ids by the time when they
were confirmed or taken for a check. A member is ``quoted user id/connection id``.
"""

CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder then return holder == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

NOTED = """
local text = redis.call('GET', KEYS[1])
if text then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return text
"""

_DROP = """
local function drop(id)
  local member = redis.call('HGET', KEYS[2], id)
  if member then
    redis.call('ZREM', KEYS[3], member)
    redis.call('HDEL', KEYS[2], id)
  end
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[4], id)
end
"""

_FORGET = (
    _DROP
    + """
local function forget(before)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', 0, 1000)) do drop(old) end
end
"""
)

CONFIRM = (
    _FORGET
    + """
local id, member, now, lifetime = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
local function latest(key) return math.max(now, tonumber(redis.call('ZSCORE', key, id) or now)) end
local confirmed, tended = latest(KEYS[1]), latest(KEYS[4])
drop(id)
redis.call('ZADD', KEYS[1], confirmed, id)
redis.call('ZADD', KEYS[4], tended, id)
if member ~= '' then
  redis.call('HSET', KEYS[2], id, member)
  redis.call('ZADD', KEYS[3], 0, member)
end
forget(now - lifetime)
for key = 1, 4 do redis.call('EXPIRE', KEYS[key], lifetime) end
return 1
"""
)

REMOVE = (
    _DROP
    + """
drop(ARGV[1])
if ARGV[2] ~= '0' then redis.call('SET', KEYS[5], '', 'EX', ARGV[2]) end
return 1
"""
)

_OF_USER = """
local function of_user(from, to)
  local ids = {}
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], from, to)) do
    table.insert(ids, string.sub(member, string.find(member, '/', 1, true) + 1))
  end
  return ids
end
local function with_members(ids)
  local pairs_of_ids = {}
  for _, id in ipairs(ids) do
    table.insert(pairs_of_ids, id)
    table.insert(pairs_of_ids, redis.call('HGET', KEYS[2], id) or '')
  end
  return pairs_of_ids
end
"""

LIST = (
    _OF_USER
    + """
return with_members(ARGV[1] == '' and redis.call('ZRANGE', KEYS[1], 0, -1) or of_user(ARGV[1], ARGV[2]))
"""
)

TAKE_UNCONFIRMED = (
    _FORGET
    + _OF_USER
    + """
local before, now, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[4])
local taken = {}
forget(tonumber(now) - tonumber(ARGV[3]))
if ARGV[5] == '' then
  taken = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[1], 'LIMIT', 0, limit)
else
  local tended, old = {}, {}
  for _, id in ipairs(of_user(ARGV[5], ARGV[6])) do
    tended[id] = tonumber(redis.call('ZSCORE', KEYS[4], id))
    if tended[id] < before then table.insert(old, id) end
  end
  table.sort(old, function(a, b) return tended[a] < tended[b] end)
  for place = 1, math.min(limit, #old) do table.insert(taken, old[place]) end
end
for _, id in ipairs(taken) do redis.call('ZADD', KEYS[4], now, id) end
return with_members(taken)
"""
)
