/* SPDX-License-Identifier: MIT */
#include "weir/order.h"

#define WINDOW      24U /* places after the last that all have left, of which it is known who has */
#define WINDOW_MASK ((UINT64_C(1) << WINDOW) - 1)

/* As in bucket.c: losing this often is not contention. */
#define CAS_TRIES 10000

/* How many of each class there are, or how many of them are served. */
struct counts {
	uint64_t of[WEIR_CLASSES];
};

static unsigned sane_class(unsigned class)
{
	return class < WEIR_CLASSES ? class : (unsigned)WEIR_CLASS_NORMAL;
}

static uint64_t base_of(uint64_t left)
{
	return left >> WINDOW;
}

static unsigned bits(uint64_t left)
{
	return (unsigned)__builtin_popcountll(left & WINDOW_MASK);
}

uint64_t weir_order_take(struct weir_order *o, unsigned class)
{
	_Atomic uint64_t *taken = &o->taken[sane_class(class)];
	uint64_t place = atomic_fetch_add_explicit(taken, 1, memory_order_relaxed) + 1;
	uint64_t base = base_of(atomic_load_explicit(&o->left[sane_class(class)], memory_order_relaxed)), seen = place;

	if (place > base)
		return place;
	/* Damage, or two who dropped the same: nobody waits. */
	return atomic_compare_exchange_strong_explicit(taken, &seen, base + 1, memory_order_relaxed, memory_order_relaxed)
		       ? base + 1
		       : place;
}

/* Everybody up to `place` has left, and this one. */
static uint64_t without(uint64_t left, uint64_t place)
{
	uint64_t base = base_of(left), window = left & WINDOW_MASK, at = place - base - 1;

	if (at >= WINDOW) { /* those who fall out of the window have been passed by so many that they have left */
		uint64_t move = at - WINDOW + 1;

		window = move < WINDOW ? window >> move : 0;
		base += move;
		at = WINDOW - 1;
	}
	window |= UINT64_C(1) << at;
	for (; (window & 1) != 0; window >>= 1)
		base++;
	return base << WINDOW | window;
}

void weir_order_leave(struct weir_order *o, unsigned class, uint64_t place, bool served)
{
	_Atomic uint64_t *left = &o->left[sane_class(class)];
	uint64_t seen = atomic_load_explicit(left, memory_order_relaxed), last = place;

	for (int i = 0; i < CAS_TRIES; i++) {
		if (place == 0 || place <= base_of(seen))
			return;
		/* Who gives up far behind says nothing of those before it. The last takes its place along; another leaves it
		 * empty, and it is found so when its turn comes. */
		if (!served && place - base_of(seen) > WINDOW) {
			atomic_compare_exchange_strong_explicit(&o->taken[sane_class(class)], &last, place - 1,
								memory_order_relaxed, memory_order_relaxed);
			return;
		}
		if (atomic_compare_exchange_weak_explicit(left, &seen, without(seen, place), memory_order_relaxed,
							  memory_order_relaxed))
			return;
	}
}

bool weir_order_holds(const struct weir_order *o, unsigned class, uint64_t place)
{
	uint64_t left = atomic_load_explicit(&o->left[sane_class(class)], memory_order_relaxed), base = base_of(left);

	if (place <= base || place > atomic_load_explicit(&o->taken[sane_class(class)], memory_order_relaxed))
		return false;
	return place - base > WINDOW || (left >> (place - base - 1) & 1) == 0;
}

uint32_t weir_order_waiting(const struct weir_order *o, unsigned class)
{
	uint64_t left = atomic_load_explicit(&o->left[sane_class(class)], memory_order_relaxed);
	uint64_t taken = atomic_load_explicit(&o->taken[sane_class(class)], memory_order_relaxed);
	uint64_t gone = base_of(left) + bits(left);

	return taken > gone && taken - gone <= WEIR_ORDER_MAX ? (uint32_t)(taken - gone) : 0;
}

/* How many of its class are before this place. */
static uint64_t before(const struct weir_order *o, unsigned class, uint64_t place)
{
	uint64_t left = atomic_load_explicit(&o->left[class], memory_order_relaxed), base = base_of(left), at;
	uint64_t found = weir_order_waiting(o, class);

	if (place == 0)
		return found;
	if (place <= base)
		return 0;
	at = place - base - 1;
	at -= bits(at < WINDOW ? left & ((UINT64_C(1) << at) - 1) : left);
	return at < found ? at : found;
}

/* How many of the first `n` numbers are set aside, `share` of each 1000 in even distances. */
static uint64_t aside(uint64_t n, uint64_t share, uint64_t of)
{
	return of != 0 ? (uint64_t)((unsigned __int128)n * share / of) : 0;
}

/* Of `n` numbers from `next` on, how many each class is served. Low has every so-manieth of all, normal of the rest. What is not
 * used by whom it is set aside for goes to the highest that waits. */
static struct counts served(const struct counts *waiting, const struct weir_shares *shares, uint64_t next, uint64_t n)
{
	uint64_t low_share = shares->low < 1000 ? shares->low : 1000, rest = 1000 - low_share;
	uint64_t normal_share = shares->normal < rest ? shares->normal : rest;
	uint64_t low_before = aside(next, low_share, 1000), low = aside(next + n, low_share, 1000) - low_before;
	uint64_t normal = aside(next + n - low_before - low, normal_share, rest) - aside(next - low_before, normal_share, rest);
	struct counts s;

	low = low < waiting->of[WEIR_CLASS_LOW] ? low : waiting->of[WEIR_CLASS_LOW];
	normal = normal < waiting->of[WEIR_CLASS_NORMAL] ? normal : waiting->of[WEIR_CLASS_NORMAL];
	s.of[WEIR_CLASS_HIGH] = n - normal - low;
	if (s.of[WEIR_CLASS_HIGH] > waiting->of[WEIR_CLASS_HIGH])
		s.of[WEIR_CLASS_HIGH] = waiting->of[WEIR_CLASS_HIGH];
	s.of[WEIR_CLASS_NORMAL] = n - s.of[WEIR_CLASS_HIGH] - low;
	if (s.of[WEIR_CLASS_NORMAL] > waiting->of[WEIR_CLASS_NORMAL])
		s.of[WEIR_CLASS_NORMAL] = waiting->of[WEIR_CLASS_NORMAL];
	s.of[WEIR_CLASS_LOW] = n - s.of[WEIR_CLASS_HIGH] - s.of[WEIR_CLASS_NORMAL];
	return s;
}

static struct counts waiting_in(const struct weir_order *o)
{
	struct counts w;

	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		w.of[c] = weir_order_waiting(o, c);
	return w;
}

/* The first number that serves as many of the class as are before it, and one more; served() rises with n by one class at a time.
 */
uint32_t weir_order_ahead(const struct weir_order *o, unsigned class, uint64_t place, const struct weir_shares *shares,
			  uint64_t next)
{
	struct counts w = waiting_in(o);
	uint64_t k, low, high;

	class = sane_class(class);
	k = before(o, class, place);
	if (w.of[class] < k + 1)
		w.of[class] = k + 1; /* itself, where it does not count yet */
	low = k + 1;
	high = k + 1;
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		high += c != class ? w.of[c] : 0;
	while (low < high) {
		uint64_t n = low + (high - low) / 2;

		if (served(&w, shares, next, n).of[class] > k)
			high = n;
		else
			low = n + 1;
	}
	return (uint32_t)(low - 1);
}

/* The first who waits in the class has left. */
static void drop_first(const _Atomic uint64_t *taken, _Atomic uint64_t *left)
{
	uint64_t seen = atomic_load_explicit(left, memory_order_relaxed);

	if (base_of(seen) >= atomic_load_explicit(taken, memory_order_relaxed))
		return;
	/* Where this fails somebody has just come for it. */
	atomic_compare_exchange_strong_explicit(left, &seen, without(seen, base_of(seen) + 1), memory_order_relaxed,
						memory_order_relaxed);
}

unsigned weir_order_next(const struct weir_order *o, const struct weir_shares *shares, uint64_t next)
{
	struct counts w = waiting_in(o), s = served(&w, shares, next, 1);

	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		if (s.of[c] != 0 && w.of[c] != 0)
			return c;
	return WEIR_CLASSES;
}

/* A word of who is passed over: the first's place, low bits:32 | since when, ms:32. */
void weir_order_pass(struct weir_order *o, unsigned class, _Atomic uint64_t *passed, uint64_t slack_ns, uint64_t now_ns)
{
	uint64_t seen = atomic_load_explicit(passed, memory_order_relaxed);
	uint32_t first = (uint32_t)base_of(atomic_load_explicit(&o->left[class], memory_order_relaxed));
	uint32_t now_ms = (uint32_t)(now_ns / 1000000);

	if ((uint32_t)(seen >> 32) != first || now_ms - (uint32_t)seen > UINT32_MAX / 2)
		atomic_store_explicit(passed, (uint64_t)first << 32 | now_ms, memory_order_relaxed);
	else if (now_ms - (uint32_t)seen > slack_ns / 1000000)
		drop_first(&o->taken[class], &o->left[class]);
}

void weir_order_forfeit(struct weir_order *o, uint32_t count, const struct weir_shares *shares, uint64_t next)
{
	struct counts w = waiting_in(o), s = served(&w, shares, next, count);

	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		for (uint64_t i = 0; i < s.of[c] && i < w.of[c]; i++)
			drop_first(&o->taken[c], &o->left[c]);
}
