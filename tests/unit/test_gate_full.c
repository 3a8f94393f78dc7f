/* SPDX-License-Identifier: MIT */
/* A full table of hosts couples no strangers, and what a rule says of rates holds all the same. */
#include "gate_bench.h"

#include <sys/wait.h>

#include "weir/log.h"

#define HOSTS 200

static enum weir_verdict ask(const char *host, struct weir_request *r, uint64_t *wake)
{
	struct weir_wish wish = {.host_port = host};

	return weir_gate_begin(&gate, r, &wish, now, wake);
}

static const char *host_number(unsigned n)
{
	static char host[32];

	snprintf(host, sizeof host, "host%u.example.org:443", n);
	return host;
}

/* Takes all entries with hosts that have requests in flight. */
static void fill_table(void)
{
	static struct weir_request r[HOSTS];
	uint64_t wake;
	unsigned n = 0;

	for (unsigned i = 0; i < HOSTS && n < 100; i++, n++)
		assert_int_equal(ask(host_number(i), &r[i], &wake), WEIR_GO);
	for (uint32_t slot = 0; slot < segment.entries; slot++)
		assert_int_not_equal(atomic_load(&segment.index[slot]), 0);
}

static bool has_entry(const char *host)
{
	return weir_entry_find(&segment, host) != WEIR_NONE;
}

static void one_strangers_refusals_and_failures_stop_nobody(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	fill_table();
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(ask("bad.example.org:80", &r, &wake), WEIR_GO);
		assert_int_equal(r.scope[0].slot, segment.entries);
		end(&r, i % 2 == 0 ? WEIR_FAILED : WEIR_THROTTLED, i % 2 == 0 ? 0 : 100 * SECOND);
	}
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(ask("dead.example.org:80", &r, &wake), WEIR_GO);
		end(&r, WEIR_FAILED, 0);
	}
	assert_int_equal(ask("good.example.org:80", &r, &wake), WEIR_GO);
	end(&r, WEIR_SUCCEEDED, 0);
	assert_true((uint32_t)atomic_load(&segment.header->entries_lost) >= 71);
}

static void a_rules_rate_holds_for_each_host_of_its_own(void **state)
{
	unsigned gone[3] = {0, 0, 0};
	struct weir_request r;
	uint64_t wake, start = now;

	(void)state;
	rule.wait_max_ns = 0;
	fixed_rate(2, 1);
	fill_table();
	for (now = start; now < start + 5 * SECOND; now += 10 * MS)
		for (unsigned h = 0; h < 3; h++) {
			char host[32];

			snprintf(host, sizeof host, "full%u.example.org:80", h);
			if (ask(host, &r, &wake) == WEIR_GO) {
				end(&r, WEIR_SUCCEEDED, 0);
				gone[h]++;
			} else {
				assert_int_equal(r.cause, WEIR_CAUSE_RATE);
			}
			assert_false(has_entry(host));
		}
	for (unsigned h = 0; h < 3; h++)
		assert_in_range(gone[h], 10, 11);
}

static void who_waits_goes_at_the_time_that_was_promised(void **state)
{
	struct weir_request r[3];
	uint64_t wake;

	(void)state;
	fixed_rate(2, 1);
	fill_table();
	assert_int_equal(ask("x:80", &r[0], &wake), WEIR_GO);
	assert_int_equal(ask("x:80", &r[1], &wake), WEIR_WAIT);
	assert_int_equal(r[1].until_ns, now + 500 * MS);
	assert_int_equal(ask("x:80", &r[2], &wake), WEIR_WAIT);
	assert_int_equal(r[2].until_ns, now + SECOND);
	now += 500 * MS;
	assert_int_equal(weir_gate_look(&gate, &r[1], now, &wake), WEIR_GO);
	assert_int_equal(weir_gate_look(&gate, &r[2], now, &wake), WEIR_WAIT);
	end(&r[1], WEIR_SUCCEEDED, 0);
}

static void a_runs_rate_is_not_dropped(void **state)
{
	struct weir_request r;
	uint64_t wake, start = now;
	unsigned gone = 0;

	(void)state;
	rule.wait_max_ns = 0;
	publish();
	fill_table();
	strcpy(gate.run.id, "1.1");
	gate.run.rate = 2 * WEIR_RATE_ONE;
	gate.run.burst = 1;
	for (; now < start + 5 * SECOND; now += 10 * MS)
		if (ask(host_number(0), &r, &wake) == WEIR_GO) {
			end(&r, WEIR_SUCCEEDED, 0);
			gone++;
		}
	assert_in_range(gone, 10, 11);
}

static void idle_entries_make_room_and_learned_ones_stay(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	assert_int_equal(ask("slow.example.org:443", &r, &wake), WEIR_GO);
	end(&r, WEIR_THROTTLED, 3 * SECOND);
	for (unsigned i = 0; i < 3000; i++, now += 10 * MS) {
		assert_int_equal(ask(host_number(i), &r, &wake), WEIR_GO);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	assert_true(has_entry("slow.example.org:443"));
}

static void short_lived_ports_are_the_first_to_go(void **state)
{
	struct weir_request r;
	char host[32];
	uint64_t wake;

	(void)state;
	publish();
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(ask(host_number(i), &r, &wake), WEIR_GO);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	for (unsigned i = 0; i < 3000; i++, now += 50 * MS) {
		snprintf(host, sizeof host, "127.0.0.1:%u", 40000 + i);
		assert_int_equal(ask(host, &r, &wake), WEIR_GO);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	for (unsigned i = 0; i < 10; i++)
		assert_true(has_entry(host_number(i)));
}

static void a_learned_rate_stays_below_the_rules_max(void **state)
{
	struct weir_request r;
	uint64_t wake, start = now;
	unsigned gone = 0;

	(void)state;
	rule.wait_max_ns = 0;
	rule.rate.strategy = WEIR_ADAPTIVE;
	rule.rate.max = 2 * WEIR_RATE_ONE;
	rule.rate.burst = 1;
	publish();
	fill_table();
	for (; now < start + 5 * SECOND; now += 10 * MS)
		if (ask("x:80", &r, &wake) == WEIR_GO) {
			end(&r, WEIR_SUCCEEDED, 0);
			gone++;
		}
	assert_in_range(gone, 10, 11);
}

static void a_rules_concurrency_holds_for_each_host_of_its_own(void **state)
{
	struct weir_request r[3], other;
	uint64_t wake;

	(void)state;
	rule.concurrency.mode = WEIR_CONCURRENCY_FIXED;
	rule.concurrency.max = 2;
	publish();
	fill_table();
	assert_int_equal(ask("x:80", &r[0], &wake), WEIR_GO);
	assert_int_equal(ask("x:80", &r[1], &wake), WEIR_GO);
	assert_int_equal(ask("x:80", &r[2], &wake), WEIR_WAIT);
	assert_int_equal(r[2].cause, WEIR_CAUSE_CONCURRENCY);
	assert_int_equal(ask("y:80", &other, &wake), WEIR_GO);
	end(&other, WEIR_FAILED, 0);
	assert_int_equal(weir_gate_look(&gate, &r[2], now, &wake), WEIR_WAIT);
	end(&r[0], WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_gate_look(&gate, &r[2], now, &wake), WEIR_GO);
	end(&r[1], WEIR_SUCCEEDED, 0);
	end(&r[2], WEIR_SUCCEEDED, 0);
}

static void a_runs_concurrency_is_not_dropped(void **state)
{
	struct weir_request r[2];
	uint64_t wake;

	(void)state;
	publish();
	fill_table();
	strcpy(gate.run.id, "1.1");
	gate.run.concurrency = 1;
	assert_int_equal(ask(host_number(0), &r[0], &wake), WEIR_GO);
	assert_int_equal(ask(host_number(0), &r[1], &wake), WEIR_WAIT);
	end(&r[0], WEIR_SUCCEEDED, 0);
	assert_int_equal(weir_gate_look(&gate, &r[1], now, &wake), WEIR_GO);
	end(&r[1], WEIR_SUCCEEDED, 0);
}

/* A process that was killed in flight, and one that gave its permit back before its answer came. */
static void what_the_dead_held_comes_back(void **state)
{
	struct weir_request r, next, last;
	uint64_t wake;
	int status;
	pid_t pid;

	(void)state;
	rule.concurrency.mode = WEIR_CONCURRENCY_FIXED;
	rule.concurrency.max = 1;
	publish();
	fill_table();
	pid = fork();
	if (pid == 0) {
		weir_owner_self(&gate.owner);
		_exit(ask("x:80", &r, &wake) == WEIR_GO ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(ask("x:80", &next, &wake), WEIR_WAIT);
	now += SECOND;
	assert_int_equal(weir_gate_look(&gate, &next, now, &wake), WEIR_WAIT); /* reaps */
	assert_int_equal(weir_gate_look(&gate, &next, now, &wake), WEIR_GO);
	weir_gate_release_permits(&gate, &next);
	assert_int_equal(ask("x:80", &last, &wake), WEIR_GO);
	end(&next, WEIR_SUCCEEDED, 0);
	end(&last, WEIR_SUCCEEDED, 0);
}

static void a_hundred_hosts_at_once_are_each_held_to_their_rate(void **state)
{
	struct weir_request r;
	char host[32];
	uint64_t wake;

	(void)state;
	rule.wait_max_ns = 0;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = WEIR_RATE_ONE / 60;
	rule.rate.burst = 1;
	publish();
	fill_table();
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 100; i++) {
			snprintf(host, sizeof host, "crawled%u.example.org:443", i);
			assert_int_equal(ask(host, &r, &wake), round == 0 ? WEIR_GO : WEIR_REFUSE);
			end(&r, WEIR_SUCCEEDED, 0);
		}
}

/* More than there are spares: each may go too early, but none is kept from its first request by another. */
static void however_many_hosts_there_are_none_waits_for_another(void **state)
{
	struct weir_request r;
	char host[32];
	uint64_t wake;

	(void)state;
	rule.wait_max_ns = 0;
	rule.rate.strategy = WEIR_FIXED;
	rule.rate.max = WEIR_RATE_ONE / 60;
	rule.rate.burst = 1;
	publish();
	fill_table();
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(host, sizeof host, "crawled%u.example.org:443", i);
		assert_int_equal(ask(host, &r, &wake), WEIR_GO);
		end(&r, i % 3 == 0 ? WEIR_FAILED : WEIR_THROTTLED, SECOND);
		now += MS;
		if (i % 100 == 99) { /* its own limit is in force however crowded it is */
			assert_int_equal(ask(host, &r, &wake), WEIR_REFUSE);
			end(&r, WEIR_SUCCEEDED, 0);
		}
	}
}

static void what_is_in_the_overflow_stops_nobody(void **state)
{
	struct weir_entry *other = &segment.entry[segment.entries];
	struct weir_forecast f;
	struct weir_request r;
	uint64_t wake;

	(void)state;
	publish();
	fill_table();
	assert_false(weir_gate_breaker(&segment, "_other", WEIR_BREAKER_FORCED_OPEN, true, now));
	assert_false(weir_gate_set(&segment, "_other", WEIR_RATE_ONE, 1, 1, 0, true, now));
	weir_breaker_force(&other->breaker, WEIR_BREAKER_FORCED_OPEN, now);
	atomic_store(&other->hold.until_ns, now + 100 * SECOND);
	atomic_store(&other->set_concurrency, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask("x:80", &r, &wake), WEIR_GO);
	gate.dry_run = true;
	assert_int_equal(ask("x:80", &r, &wake), WEIR_GO);
	assert_false(r.would_refuse || r.would_delay);
	weir_gate_forecast(&gate, "x:80", now, &f);
	assert_int_equal(f.verdict, WEIR_GO);
}

static void explain_tells_of_the_rate_that_holds_without_an_entry(void **state)
{
	struct weir_forecast f;
	struct weir_request r;
	uint64_t wake;

	(void)state;
	fixed_rate(2, 1);
	fill_table();
	assert_int_equal(ask("x:80", &r, &wake), WEIR_GO);
	weir_gate_forecast(&gate, "x:80", now, &f);
	assert_int_equal(f.verdict, WEIR_WAIT);
	assert_int_equal(f.cause, WEIR_CAUSE_RATE);
	assert_int_equal(f.until_ns, now + 500 * MS);
}

static void a_full_table_is_told_in_the_log_once_a_minute(void **state)
{
	char file[] = "/tmp/weir-test-XXXXXX", spec[64], text[4096] = "";
	struct weir_request r;
	uint64_t wake;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	snprintf(spec, sizeof spec, "warn:%s", file);
	assert_null(weir_log_setup(spec));
	publish();
	fill_table();
	now += 1000 * SECOND; /* whatever the tests before have logged */
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(ask("x:80", &r, &wake), WEIR_GO);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	weir_log_setup("off");
	assert_true(read(fd, text, sizeof text - 1) > 0);
	assert_non_null(strstr(text, "x:80: the table of hosts is full"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	close(fd);
	unlink(file);
}

/* Between look-up and lease the entry goes to somebody else: the result of a request without a lease is nobody's. */
static void a_result_whose_entry_was_evicted_is_booked_on_nobody(void **state)
{
	struct weir_request r;
	uint32_t slot;

	(void)state;
	publish();
	go(&r);
	slot = r.scope[0].slot;
	weir_lease_free(&segment, r.lease, r.lease_tag, r.owner_pid); /* as after a reaper */
	r.lease = WEIR_NONE;
	now += 100 * SECOND;
	assert_int_equal(weir_entry_sweep(&segment, 60 * SECOND, now), 1);
	segment.index[slot] = UINT64_C(2) << 62 | 12345; /* a stranger's */
	for (int i = 0; i < 10; i++)
		end(&r, WEIR_FAILED, 100 * SECOND);
	assert_int_equal(atomic_load(&segment.entry[slot].rate.failed), 0);
	assert_int_equal(atomic_load(&segment.entry[slot].hold.until_ns), 0);
}

#define with_gate(test) cmocka_unit_test_setup_teardown(test, open_gate, close_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_gate(one_strangers_refusals_and_failures_stop_nobody),
		with_gate(a_rules_rate_holds_for_each_host_of_its_own),
		with_gate(who_waits_goes_at_the_time_that_was_promised),
		with_gate(a_runs_rate_is_not_dropped),
		with_gate(idle_entries_make_room_and_learned_ones_stay),
		with_gate(short_lived_ports_are_the_first_to_go),
		with_gate(a_learned_rate_stays_below_the_rules_max),
		with_gate(a_rules_concurrency_holds_for_each_host_of_its_own),
		with_gate(a_runs_concurrency_is_not_dropped),
		with_gate(what_the_dead_held_comes_back),
		with_gate(a_hundred_hosts_at_once_are_each_held_to_their_rate),
		with_gate(however_many_hosts_there_are_none_waits_for_another),
		with_gate(what_is_in_the_overflow_stops_nobody),
		with_gate(explain_tells_of_the_rate_that_holds_without_an_entry),
		with_gate(a_full_table_is_told_in_the_log_once_a_minute),
		with_gate(a_result_whose_entry_was_evicted_is_booked_on_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
