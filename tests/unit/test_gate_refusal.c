/* SPDX-License-Identifier: MIT */
/* What refusals mean is found out by asking: clients in a closed loop, on a virtual clock, and servers that mean different
 * things. */
#include "gate_bench.h"

#define CLIENTS 16
#define TRIP    (5 * MS) /* there, and back */

struct client {
	bool flying, waiting;
	uint64_t due; /* when it asks, looks again, or is answered */
	uint32_t status;
	struct weir_request request;
};

static struct server {
	uint32_t status;         /* of a refusal */
	double per_s, depth;     /* of a token bucket; 0: none */
	unsigned slots;          /* at a time; 0: any number */
	uint64_t service_ns;     /* mean; a quarter of the requests take three times as long, the others a third of it */
	unsigned noise_permille; /* refused at random */
	uint64_t ban_ns;         /* so long everything is refused after a refusal, anew with each request */
	uint64_t banned_until;
	unsigned bans;
	double tokens;
	uint64_t filled_ns;
	uint64_t busy_until[64];
} server;

static struct client client[CLIENTS];
static uint64_t seed;
static unsigned good, refused;

static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(seed >> 33) % n;
}

/* The answer to a request that arrives now; *ns is how long it takes. */
static uint32_t serve(uint64_t *ns)
{
	unsigned slot = 0;

	*ns = below(4) == 0 ? 3 * server.service_ns : server.service_ns / 3;
	if (server.per_s > 0) {
		server.tokens += server.per_s * (double)(now - server.filled_ns) / 1e9;
		server.tokens = server.tokens > server.depth ? server.depth : server.tokens;
		server.filled_ns = now;
	}
	if (below(1000) < server.noise_permille || (server.per_s > 0 && server.tokens < 1) || server.banned_until > now) {
		server.bans += server.ban_ns != 0 && server.banned_until <= now;
		server.banned_until = now + server.ban_ns;
		*ns = 0;
		return server.status;
	}
	while (slot < server.slots && server.busy_until[slot] > now)
		slot++;
	if (server.slots != 0 && slot == server.slots) {
		*ns = 0;
		return server.status;
	}
	server.busy_until[slot] = now + *ns;
	server.tokens -= 1;
	return 200;
}

static void went(struct client *c, enum weir_verdict v, uint64_t wake)
{
	uint64_t ns;

	c->waiting = v == WEIR_WAIT;
	c->flying = v == WEIR_GO;
	c->due = v == WEIR_WAIT ? (wake > now ? wake : now + MS) : now + 100 * MS;
	if (v != WEIR_GO)
		return;
	now += TRIP; /* the server's time, for a moment */
	c->status = serve(&ns);
	now -= TRIP;
	c->due = now + 2 * TRIP + ns + below(1000) * 1000;
}

static void answered(struct client *c)
{
	struct weir_result result = {.status = c->status,
				     .outcome = weir_gate_classify(&gate, &c->request, (int)c->status, false)};

	weir_gate_settle(&gate, &c->request, &result, now);
	good += c->status == 200;
	refused += c->status == server.status;
	c->flying = false;
	c->due = now + MS / 10;
}

static struct weir_entry *host(void)
{
	return &segment.entry[weir_entry_find(&segment, HOST)];
}

/* Moves when those who wait should look again (what the futex word is for where there are processes). */
static uint64_t changes(void)
{
	struct weir_entry *e = host();

	return atomic_load(&e->bucket[0].generation) + 3 * atomic_load(&e->hold.until_ns) + 7 * atomic_load(&e->breaker.word) +
	       13 * atomic_load(&e->concurrency.permits) + 17 * weir_concurrency_limit(&e->concurrency, &rule.concurrency);
}

static void wake_all(uint64_t *seen)
{
	if (*seen == changes())
		return;
	*seen = changes();
	for (unsigned i = 0; i < CLIENTS; i++)
		if (client[i].waiting)
			client[i].due = now;
}

static void run(uint64_t seconds)
{
	uint64_t end = now + seconds * SECOND, wake, seen = 0;

	good = refused = 0;
	for (;;) {
		struct client *c = &client[0];
		enum weir_verdict v;

		for (unsigned i = 1; i < CLIENTS; i++)
			if (client[i].due < c->due)
				c = &client[i];
		if (c->due >= end)
			break;
		now = c->due > now ? c->due : now;
		if (c->flying) {
			answered(c);
		} else {
			v = c->waiting ? weir_gate_look(&gate, &c->request, now, &wake) : begin(&c->request, &wake);
			went(c, v, wake);
		}
		wake_all(&seen);
	}
	now = end;
}

static struct weir_refusal_view held(void)
{
	return weir_refusal_look(&host()->refusal);
}

static void meet(struct server s)
{
	server = s;
	server.tokens = s.depth;
	server.filled_ns = now;
	memset(client, 0, sizeof client);
	seed = 7;
	rule.wait_max_ns = 3600 * SECOND;
	publish();
	for (unsigned i = 0; i < CLIENTS; i++)
		client[i].due = now + below(20) * MS;
}

/* How many events of this kind and cause there are. */
static unsigned events(enum weir_event_kind kind, enum weir_cause cause)
{
	struct weir_event e[256];
	uint64_t next = 0;
	size_t n = weir_event_read(&segment, &next, e, 256);
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += e[i].kind == (uint32_t)kind && e[i].cause == (uint32_t)cause;
	return count;
}

static void a_bare_status_that_becomes_rarer_at_half_the_pace_is_throttling(void **state)
{
	static const uint32_t status[] = {503, 403, 420, 509, 520, 529};

	for (unsigned i = 0; i < sizeof status / sizeof status[0]; i++) {
		if (i != 0) {
			close_gate(state);
			open_gate(state);
		}
		meet((struct server){.status = status[i], .per_s = 10, .depth = 10});
		run(60);
		assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
		assert_int_equal(held().status, status[i]);
		assert_int_equal(events(WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_PACE), 1);
		run(300);
		assert_in_range(good, 10 * 300 * 95 / 100, 3010);
		assert_in_range(refused, 0, 60);
		assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	}
}

static void a_bare_status_that_comes_at_random_slows_nobody_down(void **state)
{
	(void)state;
	meet((struct server){.status = 503, .noise_permille = 300});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_CHANCE);
	assert_int_equal(events(WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_CHANCE), 1);
	run(600);
	/* Sixteen clients, each with an exchange in 10.6 ms. */
	assert_true(good + refused > 600 * 16 * 94 * 98 / 100);
	assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
}

static void throttling_that_comes_whatever_the_pace_slows_nobody_down(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .noise_permille = 100});
	run(120);
	assert_in_range(held().chance_permille, 50, 200);
	run(600);
	assert_true(good + refused > 600 * 16 * 94 * 85 / 100);
}

static void beside_throttling_by_chance_the_pace_is_still_learned(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .noise_permille = 50, .per_s = 20, .depth = 20});
	run(300);
	run(600);
	assert_in_range(good, 20 * 600 * 80 / 100, 20 * 600 + 20);
	assert_in_range(refused, 0, 20 * 600 * 15 / 100);
}

static void what_depends_on_requests_in_flight_limits_these_and_not_the_rate(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .slots = 4, .service_ns = 200 * MS});
	run(60);
	assert_int_equal(held().permits, 4);
	assert_int_equal(weir_concurrency_limit(&host()->concurrency, &rule.concurrency), 4);
	assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
	assert_int_equal(events(WEIR_EVENT_MEANING_CHANGED, WEIR_CAUSE_DEPENDS_ON_CROWD), 1);
	run(300);
	/* Four at a time, each 210 ms on its way. */
	assert_true(good > 300 * 4000 / 211 * 95 / 100);
	assert_in_range(refused, 0, good / 50);
}

static void a_ban_is_waited_for_in_one_go_and_kept_away_from(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .per_s = 10, .depth = 10, .ban_ns = 20 * SECOND});
	run(300);
	run(3600);
	assert_true(good > 36000 * 80 / 100);
	assert_in_range(server.bans, 1, 8);
}

static void a_ban_that_a_bare_status_says_is_found_by_silence(void **state)
{
	static const uint32_t status[] = {503, 403};

	for (unsigned i = 0; i < 2; i++) {
		if (i != 0) {
			close_gate(state);
			open_gate(state);
		}
		meet((struct server){.status = status[i], .per_s = 10, .depth = 10, .ban_ns = 20 * SECOND});
		run(300);
		assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
		assert_int_equal(held().status, status[i]);
		run(1800);
		assert_true(good > 18000 * 80 / 100);
		assert_in_range(server.bans, 1, 8);
		assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	}
}

/* Silence changes nothing there: half of the time is lost, and not more. */
static void what_is_forbidden_for_good_is_asked_for_at_half_the_pace_at_least(void **state)
{
	(void)state;
	meet((struct server){.status = 403});
	run(2);
	server.noise_permille = 1000;
	run(55);
	assert_true(refused > 55 * 1000 / 11 * CLIENTS / 3);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	server.noise_permille = 0;
	run(60);
	assert_true(good > 60 * 1000 / 11 * CLIENTS / 3);
}

/* Nor is it learned that the status means "less": that silence ended with a good answer is no sign of a ban. */
static void after_a_row_of_forbidden_documents_the_pace_is_free_again(void **state)
{
	(void)state;
	meet((struct server){.status = 403});
	run(5);
	server.noise_permille = 1000;
	run(3);
	assert_int_equal(held().trial, WEIR_TRIAL_SILENCE);
	server.noise_permille = 200;
	run(30);
	assert_int_not_equal(held().meaning, WEIR_REFUSAL_PACE);
	run(60);
	assert_true(good > 60 * 1000 / 11 * CLIENTS * 7 / 10);
}

/* Where silence was long when it ended, that is found out by the refusals that come although distance is kept. */
static void a_ban_that_was_none_is_forgotten(void **state)
{
	(void)state;
	meet((struct server){.status = 403});
	run(5);
	server.noise_permille = 1000;
	run(45);
	for (int i = 0; i < 60 && held().trial != WEIR_TRIAL_SILENCE; i++)
		run(1);
	run(15);
	assert_int_equal(held().trial, WEIR_TRIAL_SILENCE);
	server.noise_permille = 200;
	run(400);
	assert_int_not_equal(held().meaning, WEIR_REFUSAL_PACE);
	run(60);
	assert_true(good > 60 * 1000 / 11 * CLIENTS * 7 / 10);
}

/* ... and mostly soon, whatever chance does: of ten such hosts. */
static void most_bans_that_were_none_are_forgotten_within_minutes(void **state)
{
	unsigned soon = 0;

	for (uint64_t i = 0; i < 10; i++) {
		close_gate(state);
		open_gate(state);
		meet((struct server){.status = 403});
		seed = 100 + i;
		run(5);
		server.noise_permille = 1000;
		run(45);
		for (int k = 0; k < 60 && held().trial != WEIR_TRIAL_SILENCE; k++)
			run(1);
		run(15);
		server.noise_permille = 200;
		for (int k = 0; k < 20 && held().meaning == WEIR_REFUSAL_PACE; k++)
			run(20);
		soon += held().meaning != WEIR_REFUSAL_PACE;
	}
	assert_in_range(soon, 8, 10);
}

/* Two or twelve at a time, a second each: half of the pace is refused half as often, which is neither the same nor a fifth, and
 * what a trial of a few permits must bring is what the host was found to accept, not the last step of a climb. Of ten such hosts.
 */
static void few_long_requests_at_a_time_are_neither_chance_nor_pace(void **state)
{
	unsigned found = 0;

	for (unsigned i = 0; i < 10; i++) {
		close_gate(state);
		open_gate(state);
		meet((struct server){.status = 429, .slots = i % 2 == 0 ? 2 : 12, .service_ns = SECOND});
		seed = 200 + i;
		run(400);
		found += held().permits != 0 && held().chance_permille == 0;
	}
	assert_int_equal(found, 10);
}

/* A ban of minutes costs more than to climb with care after it: the first is met by who knows nothing, the second teaches the
 * pace. */
static void a_ban_of_ten_minutes_is_met_with_twice(void **state)
{
	static const uint32_t status[] = {429, 403};

	for (unsigned i = 0; i < 2; i++) {
		close_gate(state);
		open_gate(state);
		meet((struct server){.status = status[i], .per_s = 10, .depth = 10, .ban_ns = 600 * SECOND});
		run(3600);
		run(5 * 3600);
		assert_true(good > 5 * 3600 * 10 * 80 / 100);
		assert_in_range(server.bans, 1, 2);
	}
}

/* As many as make a row, but with good answers between them, and then nobody asked for a while. */
static void a_forbidden_document_after_an_idle_while_is_no_ban(void **state)
{
	struct weir_result forbidden = {.status = 403, .outcome = WEIR_SUCCEEDED};
	struct weir_request r;
	unsigned seen = 0;

	(void)state;
	meet((struct server){.status = 403, .noise_permille = 100});
	run(60);
	for (int i = 0; i < 100 && seen < 64; i++) {
		run(1);
		seen = (unsigned)(atomic_load(&host()->refusal.state[4]) >> 32);
	}
	assert_true(seen >= 64);
	now += 100 * SECOND;
	go(&r);
	now += 10 * MS;
	weir_gate_settle(&gate, &r, &forbidden, now);
	assert_int_not_equal(held().trial, WEIR_TRIAL_SILENCE);
	assert_int_not_equal(held().meaning, WEIR_REFUSAL_PACE);
}

/* Whether or not something was learned of the status before, by share or by silence: a token that runs out is renewed some day.
 */
static void who_was_forbidden_everything_for_hours_is_back_half_an_hour_after_that_ends(void **state)
{
	unsigned ban = 0;

	do {
		if (ban) {
			close_gate(state);
			open_gate(state);
		}
		meet((struct server){.status = 403,
				     .noise_permille = ban ? 0 : 100,
				     .per_s = ban ? 10 : 0,
				     .depth = 10,
				     .ban_ns = ban * 20 * SECOND});
		run(ban ? 300 : 60);
		assert_int_equal(held().meaning, ban ? WEIR_REFUSAL_PACE : WEIR_REFUSAL_CHANCE);
		server.ban_ns = 0;
		server.noise_permille = 1000;
		for (unsigned i = 1; i < CLIENTS; i++)
			client[i].due = UINT64_MAX; /* one goes on, or this takes long */
		run(5400);
		server.noise_permille = 0;
		run(2400);
		assert_true(good > 600);
	} while (ban++ == 0);
}

/* A fixed rate learns nothing, so nothing would ever end what is tried. */
static void a_host_that_is_down_is_so_at_a_rate_that_was_set_in_silence(void **state)
{
	(void)state;
	meet((struct server){.status = 503});
	run(5);
	server.noise_permille = 1000;
	run(5);
	assert_int_equal(held().trial, WEIR_TRIAL_SILENCE);
	fixed_rate(100, 10);
	run(60);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 1);
}

/* It has been learned that a bare 503 means "less"; but a host that says nothing else for most of a minute is down. */
static void a_host_that_says_only_what_was_learned_is_down(void **state)
{
	(void)state;
	meet((struct server){.status = 503, .per_s = 10, .depth = 10});
	run(120);
	assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 0);
	server.noise_permille = 1000;
	rule.wait_max_ns = SECOND;
	run(240);
	assert_int_equal(atomic_load(&host()->breaker.opened_total), 1);
	server.noise_permille = 0;
	run(60);
	assert_true(good > 60 * 10 * 70 / 100);
}

static void what_the_rule_lists_is_not_asked_about(void **state)
{
	(void)state;
	rule.throttle_code[0] = 403;
	rule.throttle_code[1] = 429;
	rule.throttle_codes = 2;
	meet((struct server){.status = 403, .noise_permille = 200});
	run(300);
	assert_int_equal(held().chance_permille, 0);
	assert_int_equal(held().meaning, WEIR_REFUSAL_UNKNOWN);
	assert_true(weir_bucket_pace(&host()->bucket[0]).rate != 0);
}

static void a_rule_that_lists_nothing_has_nothing_learned(void **state)
{
	(void)state;
	rule.throttle_codes = 0;
	meet((struct server){.status = 403, .per_s = 10, .depth = 10});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_UNKNOWN);
	assert_int_equal(held().status, 0);
}

static void what_was_learned_is_not_heeded_where_the_rule_now_lists_nothing(void **state)
{
	struct weir_request r;
	struct weir_result result = {.status = 403, .outcome = WEIR_SUCCEEDED};
	uint64_t throttled;

	(void)state;
	meet((struct server){.status = 403, .per_s = 10, .depth = 10});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_PACE);
	throttled = atomic_load(&host()->rate.throttled);
	rule.throttle_codes = 0;
	publish();
	now += 10 * SECOND;
	go(&r);
	weir_gate_settle(&gate, &r, &result, now);
	assert_int_equal(atomic_load(&host()->rate.throttled), throttled);
}

static void what_was_found_to_come_by_chance_is_throttling_once_the_rule_lists_it(void **state)
{
	(void)state;
	meet((struct server){.status = 503, .noise_permille = 300});
	run(60);
	assert_int_equal(held().meaning, WEIR_REFUSAL_CHANCE);
	assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
	rule.throttle_code[0] = 429;
	rule.throttle_code[1] = 503;
	rule.throttle_codes = 2;
	publish();
	run(60);
	assert_true(weir_bucket_pace(&host()->bucket[0]).rate != 0);
}

static void a_reset_forgets_a_bare_status_and_what_comes_by_chance_too(void **state)
{
	static const struct server servers[] = {{.status = 503, .per_s = 10, .depth = 10},
						{.status = 429, .noise_permille = 100}};

	for (unsigned i = 0; i < 2; i++) {
		if (i != 0) {
			close_gate(state);
			open_gate(state);
		}
		meet(servers[i]);
		run(120);
		assert_true(held().meaning != WEIR_REFUSAL_UNKNOWN || held().chance_permille != 0);
		assert_true(weir_gate_reset(&segment, HOST, now));
		assert_int_equal(held().meaning, WEIR_REFUSAL_UNKNOWN);
		assert_int_equal(held().status, 0);
		assert_int_equal(held().chance_permille, 0);
		assert_int_equal(held().trial, WEIR_TRIAL_NONE);
		assert_int_equal(weir_bucket_pace(&host()->bucket[0]).rate, 0);
		assert_int_equal(events(WEIR_EVENT_RESET, WEIR_CAUSE_OPERATOR), 1);
	}
}

static void a_reset_forgets_what_refusals_mean(void **state)
{
	(void)state;
	meet((struct server){.status = 429, .slots = 4, .service_ns = 200 * MS});
	run(60);
	assert_int_not_equal(held().permits, 0);
	assert_true(weir_gate_reset(&segment, HOST, now));
	assert_int_equal(held().permits, 0);
	assert_int_equal(weir_concurrency_limit(&host()->concurrency, &rule.concurrency), UINT32_MAX);
	for (unsigned i = 0; i < WEIR_REFUSAL_WORDS; i++)
		assert_int_equal(atomic_load(&host()->refusal.state[i]), 0);
}

static void what_says_more_than_its_status_is_no_evidence(void **state)
{
	struct weir_request r;

	(void)state;
	publish();
	for (int i = 0; i < 200; i++) {
		struct weir_result result = {.status = 404, .outcome = WEIR_SUCCEEDED};

		go(&r);
		now += MS;
		weir_gate_settle(&gate, &r, &result, now);
		result.status = 500;
		result.outcome = WEIR_FAILED;
		if (i % 2 == 0) {
			go(&r);
			now += MS;
			weir_gate_settle(&gate, &r, &result, now);
		}
	}
	assert_int_equal(held().status, 0);
}

static void whatever_the_words_hold_the_advice_stays_in_range(void **state)
{
	struct weir_refusal f;
	uint64_t next = 1;

	(void)state;
	seed = 11;
	for (int round = 0; round < 20000; round++) {
		struct weir_refusal_answer a = {
			.status = 400 + below(200), .kind = (enum weir_refusal_kind)below(3), .alone = below(2) == 0};
		_Atomic uint64_t *word = &f.held;
		struct weir_refusal_advice advice;

		for (size_t i = 0; i < sizeof f / sizeof *word && round % 4 == 0; i++) {
			next = next * UINT64_C(6364136223846793005) + 1442695040888963407;
			atomic_store(&word[i], below(3) == 0 ? UINT64_MAX >> below(64) : next ^ next >> 29);
		}
		a.in_flight = below(100);
		a.accepted = next >> below(64);
		a.admitted_ns = now - below(1000) * MS;
		a.usual_ns = next >> below(64);
		a.pace = next >> below(64);
		advice = weir_refusal_hear(&f, &a, now);
		assert_true(advice.pause_ns <= 2 * SECOND);
		assert_true(advice.permits < 4096);
		advice = weir_refusal_counted(&f, &a, below(2), now);
		assert_true(advice.pause_ns <= 2 * SECOND);
		now += below(1000) * MS;
	}
	weir_refusal_clear(&f);
	assert_int_equal(weir_refusal_look(&f).permits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_bare_status_that_becomes_rarer_at_half_the_pace_is_throttling, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_bare_status_that_comes_at_random_slows_nobody_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(throttling_that_comes_whatever_the_pace_slows_nobody_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(beside_throttling_by_chance_the_pace_is_still_learned, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_depends_on_requests_in_flight_limits_these_and_not_the_rate, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_ban_is_waited_for_in_one_go_and_kept_away_from, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_ban_that_a_bare_status_says_is_found_by_silence, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_is_forbidden_for_good_is_asked_for_at_half_the_pace_at_least, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(after_a_row_of_forbidden_documents_the_pace_is_free_again, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(few_long_requests_at_a_time_are_neither_chance_nor_pace, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_ban_of_ten_minutes_is_met_with_twice, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_ban_that_was_none_is_forgotten, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(most_bans_that_were_none_are_forgotten_within_minutes, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_forbidden_document_after_an_idle_while_is_no_ban, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(who_was_forbidden_everything_for_hours_is_back_half_an_hour_after_that_ends,
						open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_is_down_is_so_at_a_rate_that_was_set_in_silence, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_host_that_says_only_what_was_learned_is_down, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_the_rule_lists_is_not_asked_about, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(a_rule_that_lists_nothing_has_nothing_learned, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_was_learned_is_not_heeded_where_the_rule_now_lists_nothing, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(what_was_found_to_come_by_chance_is_throttling_once_the_rule_lists_it, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_reset_forgets_a_bare_status_and_what_comes_by_chance_too, open_gate,
						close_gate),
		cmocka_unit_test_setup_teardown(a_reset_forgets_what_refusals_mean, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(what_says_more_than_its_status_is_no_evidence, open_gate, close_gate),
		cmocka_unit_test_setup_teardown(whatever_the_words_hold_the_advice_stays_in_range, open_gate, close_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
