/* SPDX-License-Identifier: MIT */
#include "weir/quota_share.h"

#define LIMIT_MAX UINT64_C(0x7fff)
#define LEFT_MAX  UINT64_C(0xffff)
#define SPENT     UINT64_C(1)

/* Two statements about the same end are rounded differently. */
#define SAME_END_NS UINT64_C(2000000000)
/* So long after its window a quota is still remembered: nobody exceeds its limit in the next one before an answer tells. */
#define KEPT_NS UINT64_C(600000000000)
/* Of a window that has just begun, where nobody knows how many it allows. */
#define LEFT_UNKNOWN UINT64_C(4)

#define CAS_TRIES 64

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint32_t weir_quota_share_digest(const uint64_t salt[2], uint64_t a, uint64_t b)
{
	const uint64_t word[3] = {a, b, UINT64_C(16) << 56};
	uint64_t v[4] = {salt[0] ^ UINT64_C(0x736f6d6570736575), salt[1] ^ UINT64_C(0x646f72616e646f6d),
			 salt[0] ^ UINT64_C(0x6c7967656e657261), salt[1] ^ UINT64_C(0x7465646279746573)};
	uint32_t digest;

	for (unsigned i = 0; i < 3; i++) {
		v[3] ^= word[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= word[i];
	}
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(v);
	digest = (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
	return digest != 0 ? digest : 1;
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* ---- which resource
 * --------------------------------------------------------------------------------------------------------------- */

/* Both are salted already; who shares a quota is a matter of both. */
static uint32_t who_of(uint32_t credential, uint32_t resource)
{
	uint64_t h = (credential ^ (uint64_t)resource << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(h >> 32) | 1;
}

static void learn_path(struct weir_quota_share *q, uint32_t path, uint32_t resource)
{
	uint64_t word = (uint64_t)path << 32 | resource;
	unsigned place = path % WEIR_SHARE_PATHS;

	for (unsigned i = 0; i < WEIR_SHARE_PATHS; i++) {
		uint64_t seen = load(&q->path[i]);

		if (seen == word)
			return;
		if (seen >> 32 == path) {
			place = i;
			break;
		}
		if (seen == 0 && load(&q->path[place]) != 0)
			place = i;
	}
	store(&q->path[place], word);
}

/* The resource that requests with this path beginning have used; 0: it has not been seen. */
static uint32_t resource_of(const struct weir_quota_share *q, uint32_t path)
{
	for (unsigned i = 0; i < WEIR_SHARE_PATHS; i++) {
		uint64_t seen = load(&q->path[i]);

		if (path != 0 && seen >> 32 == path)
			return (uint32_t)seen;
	}
	return 0;
}

/* Whether unlike paths have been seen to use this resource: then one that has not been seen is taken to use it as well. */
static bool is_general(const struct weir_quota_share *q, uint32_t resource)
{
	unsigned paths = 0;

	for (unsigned i = 0; i < WEIR_SHARE_PATHS; i++)
		paths += (uint32_t)load(&q->path[i]) == resource && load(&q->path[i]) != 0 ? 1 : 0;
	return paths > 1;
}

/* ---- what is left
 * ---------------------------------------------------------------------------------------------------------------- */

static uint64_t word_of(uint32_t who, uint64_t limit, uint64_t left, bool spent)
{
	return (uint64_t)who << 32 | (limit < LIMIT_MAX ? limit : LIMIT_MAX) << 17 | (left < LEFT_MAX ? left : LEFT_MAX) << 1 |
	       (spent ? SPENT : 0);
}

static uint64_t left_of(uint64_t word)
{
	return word >> 1 & LEFT_MAX;
}

static uint64_t limit_of(uint64_t word)
{
	return word >> 17 & LIMIT_MAX;
}

/* Whether the window is not over, and one that can be. */
static bool lasts(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns > now_ns && until_ns - now_ns <= WEIR_SHARE_WINDOW_MAX_NS;
}

static bool kept(uint64_t until_ns, uint64_t now_ns)
{
	return lasts(until_ns, now_ns) || (until_ns <= now_ns && until_ns != 0 && now_ns - until_ns <= KEPT_NS);
}

/* The place of this quota; WEIR_SHARES when it has none. */
static unsigned find(const struct weir_quota_share *q, uint32_t who)
{
	for (unsigned i = 0; i < WEIR_SHARES; i++)
		if (load(&q->quota[i].word) >> 32 == who && load(&q->quota[i].until_ns) != 0)
			return i;
	return WEIR_SHARES;
}

/* Where a new one goes: a place that is free, else that of the window that ends first. */
static unsigned make_room(struct weir_quota_share *q, uint64_t now_ns)
{
	unsigned place = 0;

	for (unsigned i = 0; i < WEIR_SHARES; i++) {
		uint64_t until = load(&q->quota[i].until_ns);

		if (!kept(until, now_ns)) {
			place = i;
			break;
		}
		if (until < load(&q->quota[place].until_ns))
			place = i;
	}
	/* Out of use while the word changes, so that it is not read with another's end. */
	store(&q->quota[place].until_ns, 0);
	return place;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The resource that this answer is about. Where the server names none, two quotas may look alike: more is left by one path's
 * answer than there can be by another's, in the same window or while that one is spent. That path then has a quota of its own. */
static uint32_t resource_told(const struct weir_quota_share *q, struct weir_asker who, const struct weir_share_told *told,
			      uint64_t now_ns)
{
	uint32_t own = who_of(who.path, told->resource);
	unsigned place;
	uint64_t until, word;

	if (told->named || who.path == 0)
		return told->resource;
	if (resource_of(q, who.path) == own)
		return own;
	place = find(q, who_of(who.credential, told->resource));
	if (place == WEIR_SHARES || !told->alone)
		return told->resource;
	until = load(&q->quota[place].until_ns);
	word = load(&q->quota[place].word);
	if (!lasts(until, now_ns) || told->left <= left_of(word))
		return told->resource;
	/* In another window more may be left of the same quota, but not while the one lasts that is spent. */
	return apart(until, told->until_ns) <= SAME_END_NS || (word & SPENT) != 0 ? own : told->resource;
}

void weir_quota_share_tell(struct weir_quota_share *q, struct weir_asker who, const struct weir_share_told *told, uint64_t now_ns)
{
	uint32_t resource = resource_told(q, who, told, now_ns), id = who_of(who.credential, resource);
	uint64_t until, word, left = told->left;
	unsigned place;

	if (who.credential == 0 || told->resource == 0 || !lasts(told->until_ns, now_ns))
		return;
	if (who.path != 0)
		learn_path(q, who.path, resource);
	place = find(q, id);
	if (place == WEIR_SHARES) {
		place = make_room(q, now_ns);
		store(&q->quota[place].word, word_of(id, told->limit, left, left == 0));
		atomic_store_explicit(&q->quota[place].until_ns, told->until_ns, memory_order_release);
		return;
	}
	until = load(&q->quota[place].until_ns);
	word = load(&q->quota[place].word);
	for (int i = 0; i < CAS_TRIES && word >> 32 == id; i++) {
		/* In the same window others in flight may have taken what this answer still counts as left. */
		left = told->left;
		if (apart(until, told->until_ns) <= SAME_END_NS && !told->alone && left_of(word) < left)
			left = left_of(word);
		if (atomic_compare_exchange_weak_explicit(&q->quota[place].word, &word,
							  word_of(id, told->limit, left, told->left == 0), memory_order_relaxed,
							  memory_order_relaxed))
			break;
	}
	/* Of two roundings of the same end the earlier is the closer one; but who was refused has been asked to stay away so
	 * long. */
	if (apart(until, told->until_ns) > SAME_END_NS || (told->refused ? told->until_ns > until : told->until_ns < until))
		store(&q->quota[place].until_ns, told->until_ns);
}

/* Whether this place's quota is one that the asker shares. */
static bool shares(const struct weir_quota_share *q, uint64_t word, struct weir_asker who)
{
	uint32_t resource;

	if (who.credential == 0)
		return true;
	resource = resource_of(q, who.path);
	if (resource != 0)
		return word >> 32 == who_of(who.credential, resource);
	for (unsigned i = 0; i < WEIR_SHARE_PATHS; i++) {
		resource = (uint32_t)load(&q->path[i]);
		if (resource != 0 && word >> 32 == who_of(who.credential, resource) && (who.path == 0 || is_general(q, resource)))
			return true;
	}
	return false;
}

/* A frame of its own: of most hosts no quota was ever heard. */
static __attribute__((noinline)) uint64_t spent_until(const struct weir_quota_share *q, struct weir_asker who, uint64_t now_ns)
{
	uint64_t latest = 0;

	for (unsigned i = 0; i < WEIR_SHARES; i++) {
		uint64_t until = atomic_load_explicit(&q->quota[i].until_ns, memory_order_acquire), word;

		/* Places are filled in order: behind one that was never in use there are none. */
		if (until == 0 && load(&q->quota[i].word) == 0)
			break;
		if (!lasts(until, now_ns) || until <= latest)
			continue;
		word = load(&q->quota[i].word);
		if ((word & SPENT) != 0 && shares(q, word, who))
			latest = until;
	}
	return latest;
}

uint64_t weir_quota_share_spent_until(const struct weir_quota_share *q, struct weir_asker who, uint64_t now_ns)
{
	return load(&q->quota[0].until_ns) == 0 && load(&q->quota[0].word) == 0 ? 0 : spent_until(q, who, now_ns);
}

/* The window of this quota is over: what the next one allows is its limit, until an answer tells. Whoever is first writes it. */
static void renew(struct weir_quota_share *q, unsigned place, uint64_t word, uint64_t now_ns)
{
	uint64_t limit = limit_of(word);

	if (atomic_compare_exchange_strong_explicit(
		    &q->quota[place].word, &word,
		    word_of((uint32_t)(word >> 32), limit, limit != 0 ? limit : LEFT_UNKNOWN, false), memory_order_relaxed,
		    memory_order_relaxed))
		store(&q->quota[place].until_ns, now_ns + KEPT_NS);
}

bool weir_quota_share_take(struct weir_quota_share *q, struct weir_asker who, bool idle, uint64_t now_ns)
{
	uint32_t resource = who.credential != 0 ? resource_of(q, who.path) : 0;
	unsigned place = resource != 0 ? find(q, who_of(who.credential, resource)) : WEIR_SHARES;
	uint64_t until, word;

	if (place == WEIR_SHARES)
		return true;
	until = load(&q->quota[place].until_ns);
	word = load(&q->quota[place].word);
	if (!kept(until, now_ns))
		return true;
	if (until <= now_ns) {
		renew(q, place, word, now_ns);
		word = load(&q->quota[place].word);
	}
	for (int i = 0; i < CAS_TRIES; i++) {
		if (left_of(word) == 0)
			return idle;
		if (left_of(word) == LEFT_MAX || /* more than can be told */
		    atomic_compare_exchange_weak_explicit(&q->quota[place].word, &word, word - 2, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	}
	return true;
}

uint32_t weir_quota_share_count(const struct weir_quota_share *q, uint64_t now_ns)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < WEIR_SHARES; i++)
		count += lasts(load(&q->quota[i].until_ns), now_ns) ? 1 : 0;
	return count;
}

/* ---- what is asked for
 * ----------------------------------------------------------------------------------------------------------- */

bool weir_quota_share_outrun(struct weir_quota_share *q, uint64_t left, uint64_t left_ns, uint64_t window_ns, uint64_t accepted,
			     uint64_t waiting, uint64_t now_ns)
{
	uint64_t end = load(&q->asked_end_ns), from_ns = load(&q->asked_from_ns), from = load(&q->asked_from);
	uint64_t asked, before, length = end > from_ns ? end - from_ns : 0;

	if (!lasts(end, now_ns) || from_ns > now_ns || from > accepted) {
		/* What was asked in the window before counts as long as nobody paused in between. */
		before = end != 0 && now_ns >= end && now_ns - end < length && from <= accepted ? accepted - from : 0;
		store(&q->asked_before, before);
		store(&q->asked_from, accepted);
		store(&q->asked_from_ns, now_ns);
		store(&q->asked_end_ns, now_ns + (left_ns != 0 ? left_ns : window_ns));
		from = accepted;
		from_ns = now_ns;
	}
	before = load(&q->asked_before);
	asked = accepted - from + (waiting < LEFT_MAX ? waiting : LEFT_MAX);
	if (before >= left + asked) /* as much again will be asked for, if it is as it was */
		return true;
	if (asked <= left)
		return false;
	/* More than is left already: it goes on like this, unless it is slow enough. */
	return (unsigned __int128)asked * left_ns >= (unsigned __int128)left * (now_ns - from_ns);
}

void weir_quota_share_clear(struct weir_quota_share *q)
{
	for (unsigned i = 0; i < WEIR_SHARES; i++) {
		store(&q->quota[i].until_ns, 0);
		store(&q->quota[i].word, 0);
	}
	for (unsigned i = 0; i < WEIR_SHARE_PATHS; i++)
		store(&q->path[i], 0);
	store(&q->asked_from, 0);
	store(&q->asked_before, 0);
	store(&q->asked_from_ns, 0);
	store(&q->asked_end_ns, 0);
	store(&q->spare_ns, 0);
}
