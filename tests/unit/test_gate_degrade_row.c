/* SPDX-License-Identifier: MIT */
/*
 * Row 24 of docs/evaluation.md at the gate, in virtual time: ten slots of 50 ms, three classes that ask for 55/s each, capacity
 * at 30 % for five minutes. 55/s of 60/s: high fits, and nothing else does.
 */
#include "gate_bench.h"

#include <math.h>

#define SLOTS   10
#define PER_S   55
#define TICK    (2 * MS)
#define WELL    (60 * SECOND)
#define ILL     (300 * SECOND)
#define AFTER   (400 * SECOND)
#define WAITERS 1024

struct waiter {
	struct weir_request r;
	uint64_t looked, wake;
	bool here;
};

struct busy {
	struct weir_request r;
	uint64_t ends;
	bool here;
};

struct class_tally {
	unsigned asked, answered, given_up, refused;
	uint64_t first_given_up;
};

static struct waiter waiting[WAITERS];
static struct busy busy[64];
static struct class_tally tally[WEIR_CLASSES], ill[WEIR_CLASSES];
static uint64_t start, random_state;

static double uniform(void)
{
	/* splitmix64 */
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

static int open_wide(void **state)
{
	struct weir_geometry g = {.entries = 64, .leases = 4096, .events = 1024, .rules = 8};
	size_t bytes = weir_segment_bytes(&g);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(weir_segment_format(&segment, memory, bytes, &g, NULL, 1));
	memset(&gate, 0, sizeof gate);
	gate.segment = &segment;
	weir_owner_self(&gate.owner);
	weir_rule_defaults(&rule);
	strcpy(rule.match, "*");
	memset(waiting, 0, sizeof waiting);
	memset(busy, 0, sizeof busy);
	memset(tally, 0, sizeof tally);
	memset(ill, 0, sizeof ill);
	now = start = 1000 * SECOND;
	return 0;
}

static bool is_ill(void)
{
	return now - start >= WELL && now - start < WELL + ILL;
}

/* The host takes it: there is a slot, as weir gives out no more permits. */
static void serve(const struct weir_request *r)
{
	for (unsigned i = 0; i < sizeof busy / sizeof *busy; i++)
		if (!busy[i].here) {
			double ms = -50 * log(1 - uniform()) / (is_ill() ? .3 : 1);

			busy[i] = (struct busy){.r = *r, .here = true, .ends = now + (uint64_t)(ms * 1e6) + 1};
			return;
		}
	fail_msg("more in flight than permits");
}

static void refused(const struct weir_request *r)
{
	struct class_tally *t = &tally[r->class];

	t->refused++;
	if (r->cause != WEIR_CAUSE_DEGRADED)
		return;
	t->given_up++;
	if (t->first_given_up == 0)
		t->first_given_up = now;
}

static void arrive(unsigned class)
{
	struct waiter *w = NULL;

	for (unsigned i = 0; i < WAITERS && w == NULL; i++)
		if (!waiting[i].here)
			w = &waiting[i];
	assert_non_null(w);
	gate.priority = class + 1;
	tally[class].asked++;
	switch (begin(&w->r, &w->wake)) {
	case WEIR_GO:
		serve(&w->r);
		break;
	case WEIR_WAIT:
		w->here = true;
		w->looked = now;
		break;
	case WEIR_REFUSE:
		refused(&w->r);
		break;
	}
}

/* Looks once more. True where it went. */
static bool look_again(struct waiter *w)
{
	enum weir_verdict verdict = weir_gate_look(&gate, &w->r, now, &w->wake);

	w->looked = now;
	if (verdict == WEIR_WAIT)
		return false;
	w->here = false;
	if (verdict == WEIR_GO)
		serve(&w->r);
	else
		refused(&w->r);
	return verdict == WEIR_GO;
}

/* Who has waited longest of each class. */
static void heads(struct waiter *head[WEIR_CLASSES])
{
	memset(head, 0, WEIR_CLASSES * sizeof *head);
	for (unsigned i = 0; i < WAITERS; i++) {
		struct waiter **h = &head[waiting[i].r.class % WEIR_CLASSES];

		if (waiting[i].here && (*h == NULL || waiting[i].r.begun_ns < (*h)->r.begun_ns))
			*h = &waiting[i];
	}
}

/* A permit that comes back wakes whose turn it is. */
static void wake_the_next(void)
{
	struct waiter *head[WEIR_CLASSES];

	heads(head);
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		if (head[c] != NULL && look_again(head[c]))
			return;
}

static void finish(void)
{
	for (unsigned i = 0; i < sizeof busy / sizeof *busy; i++) {
		if (!busy[i].here || busy[i].ends > now)
			continue;
		busy[i].here = false;
		end(&busy[i].r, WEIR_SUCCEEDED, 0);
		tally[busy[i].r.class].answered++;
		wake_the_next();
	}
}

/* The whole story. `ill` is what had come of it when the host was well again. */
static void live(void)
{
	double next[WEIR_CLASSES];

	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		next[c] = (double)now;
	for (; now < start + WELL + ILL + AFTER; now += TICK) {
		if (now == start + WELL + ILL)
			memcpy(ill, tally, sizeof ill);
		finish();
		for (unsigned c = 0; c < WEIR_CLASSES; c++)
			for (; next[c] <= (double)now; next[c] -= log(1 - uniform()) * 1e9 / PER_S)
				arrive(c);
		/* Nobody sleeps for longer than a second. */
		for (unsigned i = 0; i < WAITERS && now % (50 * MS) == 0; i++)
			if (waiting[i].here && now >= waiting[i].looked + SECOND)
				(void)look_again(&waiting[i]);
	}
}

static unsigned changes(uint64_t at[8])
{
	struct weir_event event[64];
	uint64_t next = 0;
	unsigned found = 0;

	for (size_t n; (n = weir_event_read(&segment, &next, event, 64)) > 0;)
		for (size_t i = 0; i < n; i++)
			if (event[i].kind == WEIR_EVENT_DEGRADE_CHANGED) {
				if (found < 8)
					at[found] = event[i].at_ns;
				found++;
			}
	return found;
}

static void high_goes_on_low_is_given_up_first_and_nothing_flaps(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		uint64_t at[8];
		unsigned found;

		random_state = seed;
		rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = SLOTS};
		rule.degrade.queue = 50;
		rule.degrade.watch = WEIR_DEGRADE_WATCHES;
		publish();
		live();
		found = changes(at);
		assert_true(tally[WEIR_CLASS_HIGH].refused == 0);
		assert_true(ill[WEIR_CLASS_HIGH].answered * 1000 >= ill[WEIR_CLASS_HIGH].asked * 990);
		assert_true(tally[WEIR_CLASS_LOW].first_given_up >= start + WELL);
		assert_true(tally[WEIR_CLASS_LOW].first_given_up + 4 * SECOND < tally[WEIR_CLASS_NORMAL].first_given_up);
		/* normal, reduced, minimal, reduced, normal. */
		assert_in_range(found, 2, 4);
		assert_int_equal(weir_degrade_view(&entry()->degrade).state, WEIR_DEGRADE_NORMAL);
		/* What of the capacity was left over went to the others. */
		assert_true(ill[WEIR_CLASS_NORMAL].given_up > 0 &&
			    ill[WEIR_CLASS_LOW].given_up > ill[WEIR_CLASS_NORMAL].given_up / 2);
		close_gate(state);
		open_wide(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(high_goes_on_low_is_given_up_first_and_nothing_flaps, open_wide, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
