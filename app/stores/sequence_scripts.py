"""The Lua scripts of the sequence states in Redis; `sequence_cache` says what they keep true.

Keys, in the order of `KEYS`: the newest events, the lease, the mark, the older items, what was shown, that the user was
forgotten, the state's version.
"""

from app.stores.sequence_state import HEAD_BYTES

KEYS = ("events", "lease", "mark", "older", "shown", "forgotten", "version")
MAX_SHOWN = 10_000
"""Items remembered as shown to a user; the longest ago go first."""

MARK = """
redis.call('UNLINK', KEYS[2])
redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], 2 * ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[1], 'LT')
redis.call('EXPIRE', KEYS[4], ARGV[1], 'LT')
"""
"""A writer is about to commit: leases break, and states live no longer than it may take."""

APPEND = f"""
redis.call('UNLINK', KEYS[2])
local unfinished = redis.call('DECR', KEYS[3])
if unfinished <= 0 then redis.call('UNLINK', KEYS[3]) end
if redis.call('EXISTS', KEYS[6]) == 1 then redis.call('UNLINK', KEYS[1], KEYS[4]) end
local cut = redis.call('ZSCORE', KEYS[1], '\\1')
if cut and redis.call('EXISTS', KEYS[4]) == 0 then redis.call('UNLINK', KEYS[1]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[1], unpack(ARGV, 4))
  redis.call('SET', KEYS[7], ARGV[3], 'EX', ARGV[1])
  local surplus = redis.call('ZCARD', KEYS[1]) - 1 - tonumber(ARGV[2])
  if surplus > 0 then
    local fallen = redis.call('ZRANGE', KEYS[1], 1, surplus, 'WITHSCORES')
    for i = 1, #fallen, 2 do
      redis.call('ZADD', KEYS[4], 'GT', fallen[i + 1], string.sub(fallen[i], {HEAD_BYTES + 1}))
    end
    redis.call('ZREMRANGEBYRANK', KEYS[1], 1, surplus)
    if not cut then
      redis.call('ZREM', KEYS[1], '\\0')
      redis.call('ZADD', KEYS[1], '-inf', '\\1')
      redis.call('EXPIRE', KEYS[4], redis.call('TTL', KEYS[1]))
    end
  end
  if unfinished <= 0 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    redis.call('EXPIRE', KEYS[4], ARGV[1])
  end
else
  redis.call('UNLINK', KEYS[7])
end
"""

FILL = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[4])
local function add(key, first, last)
  for i = first, last, 4000 do
    redis.call('ZADD', key, unpack(ARGV, i, math.min(i + 3999, last)))
  end
end
local older = 4 + tonumber(ARGV[4])
add(KEYS[4], 5, older)
add(KEYS[1], older + 1, #ARGV)
redis.call('SET', KEYS[7], ARGV[1], 'EX', ARGV[2])
local ttl = ARGV[2]
if redis.call('EXISTS', KEYS[3], KEYS[6]) > 0 then ttl = ARGV[3] end
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('EXPIRE', KEYS[4], ttl)
return 1
"""

FORGET = """
redis.call('SET', KEYS[6], '', 'EX', 2 * ARGV[1])
redis.call('UNLINK', KEYS[2], KEYS[7])
return redis.call('UNLINK', KEYS[1], KEYS[4], KEYS[5])
"""

READ = f"""
local version, first = redis.call('GET', KEYS[7]), redis.call('ZRANGE', KEYS[1], 0, 0)[1]
local whole = first == '\\0' or (first == '\\1' and (ARGV[1] == '0' or redis.call('EXISTS', KEYS[4]) == 1))
local told = whole and not (version and version == ARGV[3])
local heads, tails, older, shown = {{}}, {{}}, {{}}, {{}}
if told then
  for i, member in ipairs(redis.call('ZRANGE', KEYS[1], 1, -1)) do
    heads[i], tails[i] = string.sub(member, 1, {HEAD_BYTES}), string.sub(member, {HEAD_BYTES + 1})
  end
  if ARGV[1] == '1' then older = redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES') end
end
if ARGV[2] ~= '' then shown = redis.call('ZRANGE', KEYS[5], ARGV[2], '+inf', 'BYSCORE', 'WITHSCORES') end
return {{whole and version or '', told and 1 or 0, table.concat(heads), tails, older, shown}}
"""
"""What is kept of a user, the parts of the members apart, since only those behind the heads are needed one by one.

Nothing but its version where the reader has that one, and not even that on a miss.
"""

SHOW = f"""
redis.call('ZADD', KEYS[5], unpack(ARGV, 2))
redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -{MAX_SHOWN + 1})
redis.call('EXPIRE', KEYS[5], ARGV[1], 'NX')
redis.call('EXPIRE', KEYS[5], ARGV[1], 'GT')
"""
