/* SPDX-License-Identifier: MIT */
/*
 * An entry is evicted and given to a stranger between any two steps of a request that has just found it: nothing of the request
 * is booked on the stranger.
 */
#include "lockstep.h"

#include "src/gate/begin.c"      /* NOLINT(bugprone-suspicious-include) */
#include "src/gate/scope.c"      /* NOLINT(bugprone-suspicious-include) */
#include "src/gate/settle.c"     /* NOLINT(bugprone-suspicious-include) */
#include "src/segment/entries.c" /* NOLINT(bugprone-suspicious-include) */

#include "gate_bench.h"

#define STRANGER "stranger.example.org:443"

static unsigned step, evict_at, evict_until, strangers;
static unsigned free_at, give_at;
static bool freed[64];
static char victim; /* first letter of the keys that are evicted */

/* Whether a request has a lease of the entry: then it is not evicted. */
static bool lease_of(uint32_t slot)
{
	for (uint32_t i = 0; i < segment.leases; i++)
		for (unsigned k = 0; k < WEIR_SCOPES; k++)
			if ((atomic_load(&segment.lease[i].word) & 0xf) != WEIR_LEASE_FREE &&
			    atomic_load(weir_lease_entry(&segment.lease[i], k)) == slot)
				return true;
	return false;
}

/* As of a new entry, but for its name and a word that differs from the evicted one's. Whether the entry is idle is not asked: the
 * request may have been stopped for as long as it takes. */
static void give_to_stranger(uint32_t slot)
{
	static uint32_t given;
	uint64_t word = atomic_load(&segment.index[slot]);

	if (lease_of(slot))
		return;
	memset((void *)&segment.entry[slot], 0, sizeof segment.entry[slot]);
	strcpy(segment.entry[slot].key, STRANGER);
	atomic_store(&segment.index[slot], (word & ~UINT64_C(0x3fffffffffffffff)) | ++given);
	strangers++;
}

static void evict_now(void)
{
	void (*again)(void) = lockstep_meanwhile;

	step++;
	if (step <= evict_at || step > evict_until)
		return;
	lockstep_meanwhile = NULL;
	for (uint32_t i = 0; i < segment.entries; i++)
		if (atomic_load(&segment.index[i]) != 0 && strcmp(segment.entry[i].key, STRANGER) != 0)
			give_to_stranger(i);
	lockstep_meanwhile = again;
}

/* The same, but who evicts looks once more whether the entry has been used. */
static void evict_unless_used(void)
{
	void (*again)(void) = lockstep_meanwhile;
	bool used = false;

	lockstep_meanwhile = NULL;
	for (uint32_t i = 0; i < segment.entries; i++)
		used |= atomic_load(&segment.entry[i].used_ns) > now;
	lockstep_meanwhile = again;
	if (used)
		step++;
	else
		evict_now();
}

/* The host's entry, known to the policy in force, so that the request takes the fast path. */
static void make_entry(void)
{
	struct weir_request r;

	for (uint32_t i = 0; i < segment.entries; i++)
		atomic_store(&segment.index[i], 0);
	memset((void *)segment.entry, 0, (segment.entries + 1) * sizeof *segment.entry);
	go(&r);
	end(&r, WEIR_SUCCEEDED, 0);
}

static void assert_nothing_on_strangers(void)
{
	for (uint32_t i = 0; i < segment.entries; i++) {
		const struct weir_entry *e = &segment.entry[i];

		if (strcmp(e->key, STRANGER) != 0)
			continue;
		assert_int_equal(atomic_load(&e->counters.admitted), 0);
		assert_int_equal(atomic_load(&e->rate.failed), 0);
		assert_int_equal(atomic_load(&e->hold.until_ns), 0);
		assert_int_equal(atomic_load(&e->rule), 0);
		assert_int_equal(atomic_load(&e->set_rate), 0);
		assert_int_equal(atomic_load(&e->applied), 0);
		assert_int_equal(atomic_load(&e->bucket[0].tail), 0);
		assert_int_equal(weir_concurrency_count(&e->concurrency), 0);
	}
}

/* From each step on, so many times whatever the request has found goes to strangers. Returns how many did. */
static unsigned explore(unsigned times, unsigned *without_entry)
{
	struct weir_wish wish = {.host_port = HOST};
	struct weir_request r;
	uint64_t wake;

	strangers = *without_entry = 0;
	for (evict_at = 0;; evict_at++) {
		make_entry();
		step = 0;
		evict_until = evict_at + times;
		lockstep_meanwhile = evict_now;
		assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
		lockstep_meanwhile = NULL;
		assert_nothing_on_strangers();
		*without_entry += r.scope[0].slot == segment.entries;
		end(&r, WEIR_FAILED, 100 * SECOND);
		assert_nothing_on_strangers();
		if (step <= evict_at)
			return strangers;
	}
}

static void an_eviction_at_any_step_books_nothing_on_the_stranger(void **state)
{
	unsigned without;

	(void)state;
	fixed_rate(100, 10);
	strcpy(gate.run.id, "1.1");
	gate.run.rate = 2 * WEIR_RATE_ONE;
	gate.run.burst = 5;
	assert_true(explore(1, &without) > 5);
	assert_int_equal(without, 0);
}

/* Whatever is found is taken away again: in the end the request goes without an entry, and its rule's rate holds. */
static void who_is_evicted_again_and_again_goes_without_an_entry(void **state)
{
	unsigned without;

	(void)state;
	fixed_rate(100, 10);
	assert_true(explore(10000, &without) > 20);
	assert_true(without > 2); /* the retries do end */
}

/* Evicted at one step, and the stranger comes at a later one: between the two the slot is nobody's. */
static void free_and_give(void)
{
	void (*again)(void) = lockstep_meanwhile;

	step++;
	lockstep_meanwhile = NULL;
	for (uint32_t i = 0; i < segment.entries; i++) {
		if (step == free_at && segment.entry[i].key[0] == victim && !lease_of(i)) {
			freed[i] = true;
			memset((void *)&segment.entry[i], 0, sizeof segment.entry[i]);
			atomic_store(&segment.index[i], 0);
		}
		if (step == give_at && freed[i] && atomic_load(&segment.index[i]) == 0) {
			memset((void *)&segment.entry[i], 0, sizeof segment.entry[i]);
			strcpy(segment.entry[i].key, STRANGER);
			atomic_store(&segment.index[i], slot_word(WEIR_SLOT_READY, now, 12345));
			strangers++;
		}
	}
	lockstep_meanwhile = again;
}

static void explore_two_steps(void)
{
	struct weir_wish wish = {.host_port = HOST};
	struct weir_request r;
	unsigned last;
	uint64_t wake;

	strangers = 0;
	for (free_at = 1, last = 1; free_at <= last; free_at++) {
		for (give_at = free_at + 1, last = free_at; give_at <= last + 2; give_at++) {
			make_entry();
			memset(freed, 0, sizeof freed);
			step = 0;
			lockstep_meanwhile = free_and_give;
			assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_GO);
			last = step;
			while (step < give_at) /* the stranger comes while the request is under way */
				free_and_give();
			lockstep_meanwhile = NULL;
			end(&r, WEIR_FAILED, 100 * SECOND);
			assert_nothing_on_strangers();
		}
	}
	assert_true(strangers > 20);
}

static void nothing_is_booked_on_a_slot_that_is_nobody_s_for_a_while(void **state)
{
	(void)state;
	with_total = true;
	weir_rule_defaults(&total);
	fixed_rate(100, 10);
	strcpy(gate.run.id, "1.1");
	gate.run.rate = 2 * WEIR_RATE_ONE;
	gate.run.burst = 5;
	victim = HOST[0];
	explore_two_steps();
	victim = '@'; /* the run's */
	explore_two_steps();
	victim = '_'; /* the total's */
	explore_two_steps();
}

/* A redirect that has been followed already is booked without a lease. */
static void a_hop_books_nothing_on_a_stranger(void **state)
{
	const struct weir_result result = {.outcome = WEIR_FAILED, .retry_after_ns = SECOND};

	(void)state;
	fixed_rate(100, 10);
	strangers = 0;
	evict_at = 0;
	do {
		make_entry();
		step = 0;
		evict_until = evict_at + 1;
		lockstep_meanwhile = evict_unless_used;
		weir_gate_hop(&gate, HOST, &result, now + SECOND);
		lockstep_meanwhile = NULL;
		assert_nothing_on_strangers();
	} while (step > evict_at++);
	assert_true(strangers > 5);
}

#define with_gate(test) cmocka_unit_test_setup_teardown(test, open_gate, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_gate(an_eviction_at_any_step_books_nothing_on_the_stranger),
		with_gate(who_is_evicted_again_and_again_goes_without_an_entry),
		with_gate(nothing_is_booked_on_a_slot_that_is_nobody_s_for_a_while),
		with_gate(a_hop_books_nothing_on_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
