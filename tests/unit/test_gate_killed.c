/* SPDX-License-Identifier: MIT */
/*
 * A process may be killed between any two instructions. Here it is: a child does what a request does to the segment, one
 * instruction at a time (ptrace), and whenever the shared memory has changed, that is at every boundary between two stores, the
 * test takes a copy and asks of it what the survivors would ask after a SIGKILL right there: are lease and permits recovered,
 * does the next request go, is every pace, hold and breaker within its bounds.
 */
#include "gate_bench.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define ENTRIES   16
#define STEPS_MAX 3000000L

static struct weir_geometry small = {.entries = ENTRIES, .leases = 8, .events = 16, .rules = 2};
static size_t bytes;
static uint8_t *before; /* the segment as it was at the last step */
static uint8_t *copy;   /* what the survivors find */
static struct weir_owner dead, survivor;

/* What the child does; each ends with exit status 0. */
typedef void scenario(void);

static void request(enum weir_outcome outcome, uint64_t retry_after_ns)
{
	struct weir_request r;
	uint64_t wake;

	if (begin(&r, &wake) == WEIR_GO) {
		now += 2 * MS;
		end(&r, outcome, retry_after_ns);
	} else {
		weir_gate_cancel(&gate, &r, now);
	}
}

static void a_good_request(void)
{
	request(WEIR_SUCCEEDED, 0);
}

static void a_throttled_request(void)
{
	request(WEIR_THROTTLED, 3 * SECOND);
	request(WEIR_SUCCEEDED, 0);
}

static void failures(void)
{
	for (int i = 0; i < 6; i++)
		request(WEIR_FAILED, 0);
}

static void an_outage_and_a_recovery(void)
{
	failures();
	now += 30 * SECOND;
	request(WEIR_FAILED, 0);
	now += 60 * SECOND;
	request(WEIR_SUCCEEDED, 0);
	request(WEIR_SUCCEEDED, 0);
}

static void an_operators_hand(void)
{
	weir_gate_set(&segment, HOST, 7 * WEIR_RATE_ONE, 2, 3, 60 * SECOND, true, now);
	request(WEIR_SUCCEEDED, 0);
	weir_gate_breaker(&segment, HOST, WEIR_BREAKER_FORCED_OPEN, true, now);
	weir_gate_reset(&segment, HOST, now);
}

static void a_new_policy(void)
{
	rule.rate.max = 3 * WEIR_RATE_ONE;
	weir_policy_publish(&segment, &rule, 1, NULL, NULL, 0, false, 2);
	request(WEIR_SUCCEEDED, 0);
}

static uint64_t clock_now(void)
{
	return now;
}

/* The agent shortens a queue of which half is dead; then those who live go on. */
static void a_queue_numbered_anew(void)
{
	struct weir_occupancy room[ENTRIES + 1];
	struct weir_request r[6];
	uint64_t wake;

	request(WEIR_SUCCEEDED, 0);
	weir_gate_set(&segment, HOST, WEIR_RATE_ONE, 1, 0, 600 * SECOND, false, now);
	for (int i = 0; i < 6; i++)
		(void)begin(&r[i], &wake);
	for (int i = 2; i < 6; i += 2)
		weir_lease_free(&segment, r[i].lease, r[i].lease_tag, r[i].owner_pid);
	if (weir_gate_requeue(&segment, room, clock_now) != 1)
		_exit(1);
	for (int i = 1; i < 6; i += 2) {
		now += 10 * SECOND;
		(void)weir_gate_look(&gate, &r[i], now, &wake);
		weir_gate_cancel(&gate, &r[i], now);
	}
}

static void open_small(enum weir_strategy strategy)
{
	void *memory;

	bytes = weir_segment_bytes(&small);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(weir_segment_format(&segment, memory, bytes, &small, NULL, 1));
	memset(&gate, 0, sizeof gate);
	gate.segment = &segment;
	gate.owner = dead;
	weir_rule_defaults(&rule);
	strcpy(rule.match, "*");
	rule.rate.strategy = strategy;
	rule.rate.max = 1000 * WEIR_RATE_ONE;
	rule.rate.min = WEIR_RATE_ONE;
	rule.hold_max_ns = 30 * SECOND;
	rule.concurrency = (struct weir_concurrency_params){.mode = WEIR_CONCURRENCY_FIXED, .max = 2};
	now = 1000 * SECOND;
	publish();
}

/* A request of a survivor goes within two minutes and closes what was open. */
static void assert_a_request_goes(struct weir_gate *g, uint64_t *at)
{
	struct weir_wish wish = {.host_port = HOST};
	struct weir_result good = {.outcome = WEIR_SUCCEEDED, .latency_ns = MS};
	struct weir_request r;
	uint64_t until = *at + 120 * SECOND, wake;
	enum weir_verdict v = weir_gate_begin(g, &r, &wish, *at, &wake);

	while (v != WEIR_GO) {
		assert_true(*at < until);
		*at = v == WEIR_WAIT && wake > *at ? wake : *at + SECOND / 2;
		v = v == WEIR_WAIT ? weir_gate_look(g, &r, *at, &wake) : weir_gate_begin(g, &r, &wish, *at, &wake);
	}
	*at += MS;
	weir_gate_settle(g, &r, &good, *at);
}

static void assert_survivable(const char *what, long step)
{
	struct weir_segment s;
	struct weir_gate g = {.segment = &s, .owner = survivor};
	uint64_t at =
		now + 300 * SECOND; /* later than all that the child does; what was half claimed is void after two seconds */
	const char *wrong;
	uint32_t slot;

	memcpy(copy, segment.base, bytes);
	wrong = weir_segment_attach(&s, copy, bytes);
	if (wrong != NULL)
		fail_msg("%s, step %ld: %s", what, step, wrong);
	weir_lease_reap(&s, &survivor, false, at);
	weir_lease_reap(&s, &survivor, false, at + 3 * SECOND);
	at += 3 * SECOND;
	for (uint32_t i = 0; i < s.leases; i++)
		assert_int_equal(atomic_load(&s.lease[i].word) & 0xf, WEIR_LEASE_FREE);
	for (uint32_t i = 0; i <= s.entries; i++)
		if (weir_concurrency_count(&s.entry[i].concurrency) != 0)
			fail_msg("%s, step %ld: a permit of entry %u leaked", what, step, i);
	slot = weir_entry_find(&s, HOST);
	if (slot < s.entries) {
		struct weir_pace pace = weir_bucket_pace(&s.entry[slot].bucket[0]);

		assert_true(pace.rate <= 1000 * WEIR_RATE_ONE);
		assert_true(weir_hold_until_ns(&s.entry[slot].hold, rule.hold_max_ns, now) <= now + rule.hold_max_ns);
		if (weir_breaker_view(&s.entry[slot].breaker, &rule.breaker, at).state == WEIR_BREAKER_FORCED_OPEN)
			return; /* what the operator asked for stands */
	}
	for (int i = 0; i < 3; i++)
		assert_a_request_goes(&g, &at);
	slot = weir_entry_find(&s, HOST);
	assert_true(slot < s.entries);
	assert_int_equal(weir_breaker_view(&s.entry[slot].breaker, &rule.breaker, at).state, WEIR_BREAKER_CLOSED);
	assert_int_equal(weir_concurrency_count(&s.entry[slot].concurrency), 0);
}

static void kill_at_every_store(const char *what, scenario *run)
{
	long steps = 0, stores = 0;
	pid_t child = fork();
	int status;

	assert_int_not_equal(child, -1);
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		run();
		_exit(0);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSTOPPED(status));
	memcpy(before, segment.base, bytes);
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		waitpid(child, &status, 0);
		if (WIFEXITED(status))
			break;
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		steps++;
		if (memcmp(before, segment.base, bytes) != 0) {
			memcpy(before, segment.base, bytes);
			stores++;
			assert_survivable(what, steps);
		}
		if (steps >= STEPS_MAX) {
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			fail_msg("%s does not end", what);
		}
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	print_message("%s: %ld instructions, %ld boundaries between stores\n", what, steps, stores);
	assert_true(stores > 10);
}

/* The learning strategy and a stepped one write all that there is to write. Instrumented code takes ten times as many steps. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const enum weir_strategy strategies[] = {WEIR_ADAPTIVE};
#else
static const enum weir_strategy strategies[] = {WEIR_ADAPTIVE, WEIR_CONSERVATIVE};
#endif

static void under_each_strategy(const char *what, scenario *run)
{
	for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++) {
		open_small(strategies[i]);
		kill_at_every_store(what, run);
		close_gate(NULL);
	}
}

static void a_kill_within_a_good_request_is_survived(void **state)
{
	(void)state;
	under_each_strategy("a good request", a_good_request);
}

static void a_kill_within_a_throttled_request_is_survived(void **state)
{
	(void)state;
	under_each_strategy("a throttled request", a_throttled_request);
}

static void a_kill_within_an_outage_is_survived(void **state)
{
	(void)state;
	under_each_strategy("an outage and its end", an_outage_and_a_recovery);
}

static void a_kill_of_the_operators_process_is_survived(void **state)
{
	(void)state;
	under_each_strategy("the operator's hand", an_operators_hand);
}

static void a_kill_while_a_policy_is_published_is_survived(void **state)
{
	(void)state;
	under_each_strategy("a new policy", a_new_policy);
}

static void a_kill_while_a_queue_is_numbered_anew_is_survived(void **state)
{
	(void)state;
	under_each_strategy("a queue numbered anew", a_queue_numbered_anew);
}

static int prepare(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	weir_owner_self(&survivor);
	dead = survivor;
	dead.pid = (uint32_t)child; /* reaped here: a pid that belongs to nobody */
	dead.start = 0;
	waitpid(child, NULL, 0);
	bytes = weir_segment_bytes(&small);
	before = malloc(bytes);
	copy = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
	return before == NULL || copy == NULL;
}

static int tidy_up(void **state)
{
	(void)state;
	free(before);
	free(copy);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kill_within_a_good_request_is_survived),
		cmocka_unit_test(a_kill_within_a_throttled_request_is_survived),
		cmocka_unit_test(a_kill_within_an_outage_is_survived),
		cmocka_unit_test(a_kill_of_the_operators_process_is_survived),
		cmocka_unit_test(a_kill_while_a_policy_is_published_is_survived),
		cmocka_unit_test(a_kill_while_a_queue_is_numbered_anew_is_survived),
	};

	return cmocka_run_group_tests(tests, prepare, tidy_up);
}
