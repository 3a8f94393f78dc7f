/* SPDX-License-Identifier: MIT */
/*
 * SIGKILL at every store of what a request does while it waits: classes at a bucket and at permits, a queue that is full, the
 * budget of retries. Two others of the queue live on. After each kill they, and no others, are counted; they go, and those who
 * come after them; and nothing goes above the limits.
 */
#include "gate_bench.h"

#include "stepping.h"

#define ENTRIES 16

static struct weir_geometry small = {.entries = ENTRIES, .leases = 16, .events = 16, .rules = 2};
static size_t bytes;
static uint8_t *copy; /* what the survivors find */
static struct weir_occupancy room[ENTRIES + 1];
static struct weir_owner survivor;
static uint32_t nobody; /* a pid that belongs to nobody */
static struct weir_request living[2], busy;
static uint64_t wakes[2];
static uint64_t at; /* the survivors' time */

static uint64_t later(void)
{
	return at;
}

static enum weir_verdict begin_as(unsigned class, struct weir_request *r)
{
	uint64_t wake;

	gate.priority = class + 1;
	return begin(r, &wake);
}

/* A high one and a low one wait. */
static void open_queue(uint64_t per_s, uint32_t permits, uint32_t most)
{
	void *memory;

	bytes = weir_segment_bytes(&small);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(weir_segment_format(&segment, memory, bytes, &small, NULL, 1));
	memset(&gate, 0, sizeof gate);
	gate.segment = &segment;
	gate.owner = survivor;
	weir_rule_defaults(&rule);
	strcpy(rule.match, "*");
	rule.wait_max_ns = 3600 * SECOND;
	rule.queue.max = most;
	rule.concurrency = (struct weir_concurrency_params){.mode = permits != 0 ? WEIR_CONCURRENCY_FIXED : WEIR_CONCURRENCY_OFF,
							    .max = permits};
	rule.retry.attempts = 3;
	now = 1000 * SECOND;
	if (per_s != 0) {
		fixed_rate(per_s, 1);
	} else {
		rule.flags &= ~(uint32_t)WEIR_RULE_LIMITS_RATE;
		publish();
	}
	assert_int_equal(begin_as(WEIR_CLASS_NORMAL, &busy), WEIR_GO);
	for (unsigned i = 0; i < 2; i++) {
		gate.priority = i == 0 ? WEIR_CLASS_HIGH + 1 : WEIR_CLASS_LOW + 1;
		assert_int_equal(begin(&living[i], &wakes[i]), WEIR_WAIT);
	}
	if (per_s != 0)
		end(&busy, WEIR_SUCCEEDED, 0);
}

/* As if the child had died: what has its number is another's that is gone. */
static void bury(struct weir_segment *s, pid_t child)
{
	for (uint32_t i = 0; i < s->leases; i++) {
		uint64_t w = atomic_load(&s->lease[i].word);

		if (w >> 32 == (uint64_t)child)
			atomic_store(&s->lease[i].word, (uint64_t)nobody << 32 | (w & UINT32_MAX));
	}
}

/* Who waits looks until it goes, and is done at once. */
static void goes(struct weir_gate *g, struct weir_request *r, enum weir_verdict v, uint64_t within)
{
	struct weir_result good = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};
	uint64_t until = at + within, wake;

	while (v != WEIR_GO) {
		assert_int_equal(v, WEIR_WAIT);
		assert_true(at < until);
		at += 20 * MS;
		v = weir_gate_look(g, r, at, &wake);
	}
	at += MS;
	weir_gate_settle(g, r, &good, at);
}

static bool is_survived(pid_t child, long store)
{
	struct weir_segment s;
	struct weir_gate g = {.segment = &s, .owner = survivor};
	struct weir_wish wish = {.host_port = HOST};
	struct weir_request r, l[2] = {living[0], living[1]};
	struct weir_entry_queue *q;
	uint32_t slot;
	uint64_t wake;

	(void)store;
	memcpy(copy, segment.base, bytes);
	assert_null(weir_segment_attach(&s, copy, bytes));
	bury(&s, child);
	at = now + 20 * SECOND; /* later than all that the child does */
	weir_lease_reap(&s, &survivor, false, at);
	weir_lease_reap(&s, &survivor, false, at + 3 * SECOND);
	at += 3 * SECOND;
	weir_gate_requeue(&s, room, later);
	if (busy.phase == WEIR_PHASE_ADMITTED) { /* where the child has not ended it */
		struct weir_request b = busy;

		weir_gate_cancel(&g, &b, at);
	}
	slot = weir_entry_find(&s, HOST);
	q = &s.entry[slot].queue;
	assert_int_equal(weir_depth_of(q->depth, WEIR_CLASS_HIGH), 1);
	assert_int_equal(weir_depth_of(q->depth, WEIR_CLASS_NORMAL), 0);
	assert_int_equal(weir_depth_of(q->depth, WEIR_CLASS_LOW), 1);
	assert_int_equal(weir_concurrency_count(&s.entry[slot].concurrency), 0);
	assert_true(weir_retry_left(&s.entry[slot].retry, now) <= WEIR_RETRY_RESERVE + 200);
	for (unsigned i = 0; i < 2; i++)
		goes(&g, &l[i], weir_gate_look(&g, &l[i], at, &wake), 10 * SECOND);
	for (unsigned class = 0; class < WEIR_CLASSES; class ++) {
		g.priority = class + 1;
		goes(&g, &r, weir_gate_begin(&g, &r, &wish, at, &wake), 10 * SECOND);
	}
	assert_int_equal(weir_depth_all(q->depth), 0);
	return true;
}

static void kill_at_every_store(void (*run)(void), long least)
{
	struct stepped s = {.run = run, .memory = segment.base, .bytes = bytes, .at_store = is_survived};
	long stores = at_every_store(&s);

	assert_true(stores >= least);
	munmap(segment.base, segment.bytes);
	memset(&segment, 0, sizeof segment);
}

static void be_another(void)
{
	weir_owner_self(&gate.owner);
}

static void waits_and_gives_up(void)
{
	struct weir_request r[3];
	uint64_t wake;

	be_another();
	for (unsigned class = 0; class < WEIR_CLASSES; class ++)
		(void)begin_as(class, &r[class]);
	now += 100 * MS;
	for (unsigned class = 0; class < WEIR_CLASSES; class ++)
		(void)weir_gate_look(&gate, &r[class], now, &wake);
	for (unsigned class = 0; class < WEIR_CLASSES; class ++)
		weir_gate_cancel(&gate, &r[class], now);
}

static void waits_and_goes(void)
{
	struct weir_request r[3];
	uint64_t wake;
	unsigned over = 0;

	be_another();
	for (unsigned class = 0; class < WEIR_CLASSES; class ++)
		(void)begin_as(class, &r[class]);
	for (unsigned i = 0; i < 400 && over != 7; i++) {
		now += 100 * MS;
		for (unsigned class = 0; class < WEIR_CLASSES; class ++)
			if ((over >> class & 1) == 0 && weir_gate_look(&gate, &r[class], now, &wake) == WEIR_GO) {
				end(&r[class], WEIR_SUCCEEDED, 0);
				over |= 1U << class;
			}
	}
	_exit(over == 7 ? 0 : 1);
}

/* It is full with two low ones of its own: one more is refused, a high one makes one of these leave. */
static void finds_the_queue_full(void)
{
	struct weir_request r[4];
	uint64_t wake;

	be_another();
	if (begin_as(WEIR_CLASS_LOW, &r[0]) != WEIR_WAIT || begin_as(WEIR_CLASS_LOW, &r[1]) != WEIR_WAIT ||
	    begin_as(WEIR_CLASS_LOW, &r[2]) != WEIR_REFUSE || begin_as(WEIR_CLASS_HIGH, &r[3]) != WEIR_WAIT)
		_exit(1);
	if (weir_gate_look(&gate, &r[1], now, &wake) != WEIR_REFUSE || weir_gate_look(&gate, &r[0], now, &wake) != WEIR_WAIT)
		_exit(2);
	weir_gate_cancel(&gate, &r[0], now);
	weir_gate_cancel(&gate, &r[3], now);
}

static void asks_again(void)
{
	struct weir_request r;

	be_another();
	gate.priority = WEIR_CLASS_NORMAL + 1;
	now += 20 * SECOND;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t wake;

		now += 2 * SECOND;
		if (begin(&r, &wake) != WEIR_GO)
			_exit(1);
		weir_gate_retry_earn(&gate, &r, now);
		(void)weir_gate_retry_spend(&gate, &r, now);
		weir_gate_retry_saved(&gate, &r);
		end(&r, WEIR_SUCCEEDED, 0);
	}
}

static void who_dies_while_it_waits_for_a_unit_is_survived(void **state)
{
	(void)state;
	open_queue(1, 0, 0);
	kill_at_every_store(waits_and_gives_up, 40);
	open_queue(5, 0, 0);
	kill_at_every_store(waits_and_goes, 60);
}

/* No rate; the one permit is another's, which the child ends. */
static void waits_for_a_permit(void)
{
	struct weir_request r[3];
	uint64_t wake;
	unsigned over = 0;

	be_another();
	for (unsigned class = 0; class < WEIR_CLASSES; class ++)
		(void)begin_as(class, &r[class]);
	end(&busy, WEIR_SUCCEEDED, 0);
	for (unsigned i = 0; i < 400 && over != 7; i++) {
		now += 100 * MS;
		for (unsigned class = 0; class < WEIR_CLASSES; class ++)
			if ((over >> class & 1) == 0 && weir_gate_look(&gate, &r[class], now, &wake) == WEIR_GO) {
				end(&r[class], WEIR_SUCCEEDED, 0);
				over |= 1U << class;
			}
	}
	_exit(over == 7 ? 0 : 1);
}

static void who_dies_while_it_waits_for_a_permit_is_survived(void **state)
{
	(void)state;
	open_queue(0, 1, 0);
	kill_at_every_store(waits_for_a_permit, 60);
}

static void who_dies_as_the_queue_is_full_is_survived(void **state)
{
	(void)state;
	open_queue(1, 0, 4);
	kill_at_every_store(finds_the_queue_full, 60);
}

static void who_dies_as_it_asks_again_is_survived(void **state)
{
	(void)state;
	open_queue(1, 0, 0);
	kill_at_every_store(asks_again, 40);
}

static int prepare(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0); /* reaped: its pid belongs to nobody */
	nobody = (uint32_t)child;
	weir_owner_self(&survivor);
	bytes = weir_segment_bytes(&small);
	copy = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
	return copy == NULL;
}

static int tidy_up(void **state)
{
	(void)state;
	free(copy);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_dies_while_it_waits_for_a_unit_is_survived),
		cmocka_unit_test(who_dies_while_it_waits_for_a_permit_is_survived),
		cmocka_unit_test(who_dies_as_the_queue_is_full_is_survived),
		cmocka_unit_test(who_dies_as_it_asks_again_is_survived),
	};

	return cmocka_run_group_tests(tests, prepare, tidy_up);
}
