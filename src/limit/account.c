/* SPDX-License-Identifier: MIT */
#include "weir/account.h"

#include <stddef.h>

#define LOST      UINT32_MAX
#define CAS_TRIES 10000
/* Two who find one left in two parts at a time both take it back; then one of them gets it. */
#define ROLLING_TRIES 16

#define CHUNK_BITS 20
#define CHUNK_MAX  ((UINT64_C(1) << (CHUNK_BITS - 1)) - 1)
#define SHORT_MS   500 /* a mark that lasted for less is raised further the next time */
#define LONG_MS    1000

static uint64_t get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_seq_cst);
}

static bool swap(_Atomic uint64_t *word, uint64_t *seen, uint64_t to)
{
	return atomic_compare_exchange_strong_explicit(word, seen, to, memory_order_seq_cst, memory_order_seq_cst);
}

static uint64_t number_of(uint64_t word)
{
	return word >> 32;
}

static uint64_t used_of(uint64_t word)
{
	return word & UINT32_MAX;
}

static uint64_t with(uint64_t number, uint64_t used)
{
	return number << 32 | used;
}

static bool is_rolling(const struct weir_allowance *one)
{
	return one->unit == WEIR_PER_ROLLING;
}

static uint64_t length_s(const struct weir_allowance *one)
{
	return one->every < WEIR_ROLLING_MIN_S   ? WEIR_ROLLING_MIN_S
	       : one->every > WEIR_ROLLING_MAX_S ? WEIR_ROLLING_MAX_S
						 : one->every;
}

/* ---- calendar windows, and rolling ones without an account: one word */

static uint64_t limit_of(const struct weir_allowance *one, const struct weir_account *a)
{
	uint64_t limit = one->limit < WEIR_ALLOWANCE_LIMIT_MAX ? one->limit : WEIR_ALLOWANCE_LIMIT_MAX;

	return is_rolling(one) && !a && limit > 1 ? limit / 2 : limit;
}

/* The window that holds, as a word: the one that was counted in last, until it ends. */
static uint64_t window_now(uint64_t word, const struct weir_allowances *rule, unsigned which, uint64_t wall_ms)
{
	uint64_t wall_s = wall_ms / 1000, end_s;

	if (number_of(word) * 60 > wall_s)
		return word;
	if (is_rolling(&rule->one[which]))
		end_s = wall_s + length_s(&rule->one[which]) + 59;
	else
		end_s = weir_allowance_ends_s(rule, which, wall_s);
	return with(end_s / 60 < UINT32_MAX ? end_s / 60 : UINT32_MAX - 1, 0);
}

static uint64_t used_or_all(uint64_t used, uint64_t limit)
{
	return used == LOST ? limit : used;
}

/* ---- rolling windows: parts */

static uint64_t part_ms(const struct weir_allowance *one)
{
	return (length_s(one) * 1000 + WEIR_ROLLING_PARTS - 1) / WEIR_ROLLING_PARTS;
}

/* Whether anything was counted in part p, and it is one after k: not one of damage. */
static bool is_later(uint64_t p, uint64_t k)
{
	return used_of(p) != 0 && number_of(p) > k && number_of(p) < UINT32_MAX - WEIR_ACCOUNT_PARTS;
}

/* The part under way: by the clock, but never one before the last that was counted in. */
static uint64_t part_now(const struct weir_account *a, const struct weir_allowance *one, uint64_t wall_ms)
{
	uint64_t k = wall_ms / part_ms(one);

	k = k < UINT32_MAX - WEIR_ACCOUNT_PARTS ? k : UINT32_MAX - WEIR_ACCOUNT_PARTS;
	for (unsigned i = 0; i < WEIR_ACCOUNT_PARTS; i++) {
		uint64_t p = get(&a->part[i]);

		if (is_later(p, k))
			k = number_of(p);
	}
	return k;
}

/* What counts at part k, and (first not NULL) the first part of these. */
static uint64_t sum_at(const struct weir_account *a, uint64_t k, uint64_t limit, uint64_t *first)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WEIR_ACCOUNT_PARTS; i++) {
		uint64_t p = get(&a->part[i]);

		if (used_of(p) == 0 || number_of(p) + WEIR_ROLLING_PARTS < k)
			continue;
		sum += used_or_all(used_of(p), limit);
		if (first && number_of(p) < *first)
			*first = number_of(p);
	}
	return sum;
}

static void look_at_parts(const struct weir_account *a, const struct weir_allowance *one, uint64_t wall_ms,
			  struct weir_account_view *out)
{
	uint64_t k = part_now(a, one, wall_ms), first = UINT64_MAX;

	out->used = sum_at(a, k, out->limit, &first);
	out->ends_ms = first != UINT64_MAX ? (first + WEIR_ROLLING_PARTS + 1) * part_ms(one) : 0;
	out->spent = out->used >= out->limit;
	for (unsigned i = 0; i < WEIR_ACCOUNT_PARTS; i++)
		out->lost |= used_of(get(&a->part[i])) == LOST && number_of(get(&a->part[i])) + WEIR_ROLLING_PARTS >= k;
	if (!out->spent)
		return;
	for (uint64_t later = k + 1; later <= k + WEIR_ACCOUNT_PARTS; later++) {
		out->until_ms = later * part_ms(one);
		if (sum_at(a, later, out->limit, NULL) < out->limit)
			return;
	}
}

static void give_part(struct weir_account *a, uint64_t k)
{
	_Atomic uint64_t *part = &a->part[k % WEIR_ACCOUNT_PARTS];
	uint64_t p = get(part);

	for (unsigned i = 0; i < CAS_TRIES; i++)
		if (number_of(p) != k || used_of(p) == 0 || used_of(p) == LOST || swap(part, &p, p - 1))
			return;
}

/* What the part becomes with one more. */
static uint64_t part_with_one(uint64_t p, uint64_t k)
{
	return number_of(p) == k ? p + (used_of(p) < LOST - 1) : with(k, 1);
}

/* First it is counted, then it is seen whether that was too much: whoever comes last sees all the others. */
static enum weir_account_answer take_part(struct weir_account *a, const struct weir_allowance *one, uint64_t limit,
					  uint64_t wall_ms, bool forced, uint32_t *window, uint64_t *used)
{
	for (unsigned i = 0; i < ROLLING_TRIES; i++) {
		uint64_t k = part_now(a, one, wall_ms);
		_Atomic uint64_t *part = &a->part[k % WEIR_ACCOUNT_PARTS];
		uint64_t p = get(part), to = part_with_one(p, k);

		/* It was stopped for so long that its part's place is a later one's by now. */
		if (is_later(p, k))
			continue;
		if (!forced && sum_at(a, k, limit, NULL) >= limit)
			return WEIR_ACCOUNT_SPENT;
		if (to > get(&a->kept))
			return WEIR_ACCOUNT_UNMARKED;
		if (!swap(part, &p, to))
			continue;
		*used = sum_at(a, k, limit, NULL);
		if (weir_account_is_nobodys(a)) {
			give_part(a, k);
			return WEIR_ACCOUNT_GONE;
		}
		*window = (uint32_t)k;
		if (forced || *used <= limit)
			return WEIR_ACCOUNT_TAKEN;
		give_part(a, k);
	}
	return WEIR_ACCOUNT_SPENT;
}

/* ---- both */

/* When the next may go where what is left is spread: `next`, unless that is further ahead than it can have been set (a clock was
 * set back). */
static uint64_t turn_ms(uint64_t next, const struct weir_allowance *one, const struct weir_account_view *v, uint64_t wall_ms)
{
	uint64_t most = v->ends_ms > wall_ms ? v->ends_ms - wall_ms : 0;

	if (is_rolling(one))
		most = length_s(one) * 1000 / (v->limit ? v->limit : 1);
	return (one->flags & WEIR_ALLOWANCE_SPREAD) != 0 && next > wall_ms && next - wall_ms <= most ? next : 0;
}

/* Whether it is this one's turn, and then nobody else's for a while. */
static bool its_turn(struct weir_meter *m, const struct weir_allowance *one, const struct weir_account_view *v, uint64_t wall_ms)
{
	uint64_t next = get(&m->next_ms), gap = 0;

	if (turn_ms(next, one, v, wall_ms) > wall_ms)
		return false;
	if (is_rolling(one))
		gap = length_s(one) * 1000 / v->limit;
	else if (v->ends_ms > wall_ms)
		gap = (v->ends_ms - wall_ms) / (v->limit - v->used);
	return swap(&m->next_ms, &next, wall_ms + gap);
}

void weir_account_look(const struct weir_meter *m, const struct weir_account *a, const struct weir_allowances *rule,
		       unsigned which, uint64_t wall_ms, struct weir_account_view *out)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t word;

	*out = (struct weir_account_view){.limit = limit_of(one, a)};
	if (is_rolling(one) && a) {
		look_at_parts(a, one, wall_ms, out);
	} else {
		word = window_now(get(&m->word), rule, which, wall_ms);
		out->lost = used_of(word) == LOST;
		out->used = used_or_all(used_of(word), out->limit);
		out->ends_ms = number_of(word) * 60000;
		out->spent = out->used >= out->limit;
		out->until_ms = out->spent ? out->ends_ms : 0;
	}
	if (!out->spent)
		out->until_ms = turn_ms(get(&m->next_ms), one, out, wall_ms);
}

static enum weir_account_answer take_word(struct weir_meter *m, const struct weir_account *a, const struct weir_allowances *rule,
					  unsigned which, uint64_t limit, uint64_t wall_ms, bool forced, uint32_t *window,
					  uint64_t *used)
{
	uint64_t word = get(&m->word), now, to;

	for (unsigned i = 0; i < CAS_TRIES; i++) {
		if (word >= WEIR_ACCOUNT_ABANDONED)
			return WEIR_ACCOUNT_GONE;
		now = window_now(word, rule, which, wall_ms);
		if (!forced && used_or_all(used_of(now), limit) >= limit)
			return WEIR_ACCOUNT_SPENT;
		to = now + (used_of(now) < LOST - 1);
		if (a && to > get(&a->kept))
			return WEIR_ACCOUNT_UNMARKED;
		if (!swap(&m->word, &word, to))
			continue;
		*window = (uint32_t)number_of(to);
		*used = used_or_all(used_of(to), limit);
		return WEIR_ACCOUNT_TAKEN;
	}
	return WEIR_ACCOUNT_SPENT; /* the word is hammered by something hostile */
}

/* Whether the next use is not on the disk yet. */
static bool is_unmarked(const struct weir_account *a, const struct weir_allowances *rule, unsigned which, uint64_t wall_ms)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t k;

	if (!is_rolling(one))
		return window_now(get(&a->meter.word), rule, which, wall_ms) + 1 > get(&a->kept);
	k = part_now(a, one, wall_ms);
	return part_with_one(get(&a->part[k % WEIR_ACCOUNT_PARTS]), k) > get(&a->kept);
}

enum weir_account_answer weir_account_take(struct weir_meter *m, struct weir_account *a, const struct weir_allowances *rule,
					   unsigned which, uint64_t wall_ms, bool forced, uint32_t *window, uint64_t *used)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t limit = limit_of(one, a);
	struct weir_account_view v;

	if (a && weir_account_is_nobodys(a))
		return WEIR_ACCOUNT_GONE;
	if ((one->flags & WEIR_ALLOWANCE_SPREAD) != 0 && !forced) {
		weir_account_look(m, a, rule, which, wall_ms, &v);
		if (v.spent)
			return WEIR_ACCOUNT_SPENT;
		if (v.until_ms > wall_ms)
			return WEIR_ACCOUNT_PACED;
		/* The disk first: a turn is had once. */
		if (a && is_unmarked(a, rule, which, wall_ms))
			return WEIR_ACCOUNT_UNMARKED;
		if (!its_turn(m, one, &v, wall_ms))
			return WEIR_ACCOUNT_PACED;
	}
	if (is_rolling(one) && a)
		return take_part(a, one, limit, wall_ms, forced, window, used);
	return take_word(m, a, rule, which, limit, wall_ms, forced, window, used);
}

void weir_account_give(struct weir_meter *m, struct weir_account *a, const struct weir_allowances *rule, unsigned which,
		       uint32_t window)
{
	uint64_t word = get(&m->word);

	/* Its turn with it: the next may go at once. */
	if ((rule->one[which].flags & WEIR_ALLOWANCE_SPREAD) != 0)
		atomic_store_explicit(&m->next_ms, 0, memory_order_relaxed);
	if (a && is_rolling(&rule->one[which])) {
		give_part(a, window);
		return;
	}
	for (unsigned i = 0; i < CAS_TRIES; i++)
		if (number_of(word) != window || used_of(word) == 0 || used_of(word) == LOST || swap(&m->word, &word, word - 1))
			return;
}

/* By how much beyond the next: as much as lasted for about a second before. Of several who ask at once one changes it. */
static uint64_t chunk(struct weir_account *a, uint64_t wall_ms)
{
	uint64_t raised = get(&a->raised), before = raised & CHUNK_MAX, at = raised >> CHUNK_BITS;
	uint64_t lasted = wall_ms > at ? wall_ms - at : 0, now = before;

	if (lasted < SHORT_MS)
		now = before * 2;
	else if (lasted > LONG_MS)
		now = before * LONG_MS / lasted;
	now = now < 1 ? 1 : now > CHUNK_MAX ? CHUNK_MAX : now;
	return swap(&a->raised, &raised, wall_ms << CHUNK_BITS | now) ? now : 1;
}

static void raise_to(_Atomic uint64_t *word, uint64_t to)
{
	uint64_t seen = get(word);

	for (unsigned i = 0; i < CAS_TRIES && seen < to; i++)
		if (swap(word, &seen, to))
			return;
}

uint64_t weir_account_raise(struct weir_account *a, const struct weir_allowances *rule, unsigned which, uint64_t wall_ms)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t from, by, limit = limit_of(one, a), most, k, mark = get(&a->mark);

	if (is_rolling(one)) {
		k = part_now(a, one, wall_ms);
		from = get(&a->part[k % WEIR_ACCOUNT_PARTS]);
		from = number_of(from) == k ? from : with(k, 0);
	} else {
		from = window_now(get(&a->meter.word), rule, which, wall_ms);
	}
	if (used_of(from) >= LOST - 1 || mark > from)
		return mark; /* somebody else has raised it; it may not be on the disk yet */
	by = chunk(a, wall_ms);
	/* Not beyond the limit, but always far enough for one that goes anyway. */
	most = used_of(from) < limit ? limit - used_of(from) : 1;
	raise_to(&a->mark, from + (by < most ? by : most));
	return get(&a->mark);
}

void weir_account_kept(struct weir_account *a, uint64_t mark)
{
	raise_to(&a->kept, mark);
}

void weir_account_recover(struct weir_account *a, const struct weir_allowance *one, uint64_t boot)
{
	uint64_t mark, before = get(&a->boot);

	if (boot == 0 || before == boot)
		return;
	mark = get(&a->mark);
	if (mark != 0)
		raise_to(is_rolling(one) ? &a->part[number_of(mark) % WEIR_ACCOUNT_PARTS] : &a->meter.word, mark);
	swap(&a->boot, &before, boot);
}

void weir_account_set(struct weir_meter *m, struct weir_account *a, const struct weir_allowances *rule, unsigned which,
		      uint32_t used, uint64_t wall_ms)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t to, k;

	atomic_store_explicit(&m->next_ms, 0, memory_order_relaxed);
	atomic_store_explicit(&m->told, 0, memory_order_relaxed);
	if (is_rolling(one) && a) {
		k = wall_ms / part_ms(one);
		to = with(k, used);
		for (unsigned i = 0; i < WEIR_ACCOUNT_PARTS; i++)
			if (i != k % WEIR_ACCOUNT_PARTS)
				atomic_store_explicit(&a->part[i], 0, memory_order_relaxed);
		atomic_store_explicit(&a->kept, to, memory_order_relaxed);
		atomic_store_explicit(&a->mark, to, memory_order_relaxed);
		atomic_store_explicit(&a->part[k % WEIR_ACCOUNT_PARTS], to, memory_order_seq_cst);
		return;
	}
	to = window_now(0, rule, which, wall_ms) + used;
	if (a) {
		atomic_store_explicit(&a->kept, to, memory_order_relaxed);
		atomic_store_explicit(&a->mark, to, memory_order_relaxed);
	}
	atomic_store_explicit(&m->word, to, memory_order_seq_cst);
}

void weir_account_lose(struct weir_account *a, const struct weir_allowances *rule, unsigned which, uint64_t wall_ms)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t k = wall_ms / part_ms(one), nothing = 0;
	uint64_t to = is_rolling(one) ? with(k, LOST) : window_now(0, rule, which, wall_ms) + LOST;

	/* Who dies before the last of these leaves one by which nothing has been counted. */
	raise_to(&a->kept, to);
	raise_to(&a->mark, to);
	(void)swap(is_rolling(one) ? &a->part[k % WEIR_ACCOUNT_PARTS] : &a->meter.word, &nothing, to);
}

void weir_account_carry(struct weir_meter *m, const struct weir_account *from, const struct weir_allowances *rule, unsigned which,
			uint64_t wall_ms)
{
	const struct weir_allowance *one = &rule->one[which];
	uint64_t word = get(&m->word), used;

	if (!is_rolling(one)) {
		if (get(&from->meter.word) < WEIR_ACCOUNT_ABANDONED)
			raise_to(&m->word, get(&from->meter.word));
		return;
	}
	used = sum_at(from, part_now(from, one, wall_ms), one->limit, NULL);
	if (used != 0 && number_of(word) * 60 <= wall_ms / 1000)
		(void)swap(&m->word, &word, window_now(word, rule, which, wall_ms) + (used < LOST - 1 ? used : LOST - 1));
}

bool weir_account_tells(struct weir_meter *m, const struct weir_allowance *one, const struct weir_account_view *v, bool spent,
			uint64_t wall_ms)
{
	uint64_t told = get(&m->told), now = wall_ms / 60000, until = spent ? used_of(told) : number_of(told);
	uint64_t end = (is_rolling(one) ? wall_ms / 1000 + length_s(one) : v->ends_ms / 1000) / 60;

	if (spent ? v->used < v->limit : v->used * 5 < v->limit * 4)
		return false;
	if (now < until || end <= now || end > UINT32_MAX)
		return false;
	return swap(&m->told, &told, spent ? with(number_of(told), end) : with(end, used_of(told)));
}
