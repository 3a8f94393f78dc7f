/* SPDX-License-Identifier: MIT */
/* The configuration's quotas through the gate, on virtual clocks. */
#include "tests/unit/gate_bench.h"

#include "src/policy/allowance.h"
#include "weir/ledger.h"
#include "weir/quotas.h"

#define T0   UINT64_C(1795780800000) /* 2026-11-27 12:00 UTC, ms */
#define HOUR UINT64_C(3600000)

static struct weir_ledger ledger;
static bool has_ledger;
static uint64_t wall_offset_ms; /* of the wall clock to the virtual one */

static uint64_t wall_ms(void)
{
	return T0 + wall_offset_ms + now / 1000000;
}

static void no_disk(void *page, size_t bytes)
{
	(void)page;
	(void)bytes;
}

static const struct weir_ledger *the_ledger(void)
{
	return has_ledger ? &ledger : NULL;
}

static int open_all(void **state)
{
	void *memory = mmap(NULL, WEIR_LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	open_gate(state);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(&ledger, 0, sizeof ledger);
	weir_ledger_format(&ledger, memory, 0);
	ledger.boot = 1;
	ledger.wall_ms = wall_ms;
	ledger.sync = no_disk;
	segment.ledger = the_ledger;
	has_ledger = true;
	wall_offset_ms = 0;
	rule.flags &= ~(uint32_t)WEIR_RULE_LIMITS_RATE;
	return 0;
}

static int close_all(void **state)
{
	munmap(ledger.header, WEIR_LEDGER_BYTES);
	return close_gate(state);
}

static void quota(const char *text)
{
	assert_null(weir_allowance_parse(&rule.allowances, text, T0 / 1000));
	publish();
}

/* Asks until nothing is left; returns how many went. */
static unsigned use_up(void)
{
	struct weir_request r;
	unsigned gone = 0;
	uint64_t wake;

	while (gone < 10000 && begin(&r, &wake) == WEIR_GO) {
		end(&r, WEIR_SUCCEEDED, 0);
		gone++;
	}
	if (r.phase == WEIR_PHASE_WAITING)
		weir_gate_cancel(&gate, &r, now);
	return gone;
}

static unsigned events_of(enum weir_event_kind kind, struct weir_event *last)
{
	struct weir_event e[64];
	uint64_t next = 0;
	unsigned found = 0;
	size_t n;

	while ((n = weir_event_read(&segment, &next, e, 64)) > 0)
		for (size_t i = 0; i < n; i++)
			if (e[i].kind == (uint32_t)kind) {
				*last = e[i];
				found++;
			}
	return found;
}

static void a_spent_quota_refuses_and_says_when_it_begins_anew(void **state)
{
	struct weir_request r;
	struct weir_event e;
	char text[200];
	uint64_t wake;

	(void)state;
	quota("100/day UTC");
	assert_int_equal(use_up(), 100);
	assert_int_equal(begin(&r, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_QUOTA_SPENT);
	assert_false(r.timed_out);
	assert_int_equal(r.until_ns, 12 * 3600 * SECOND);
	weir_gate_describe(&gate, &r, HOST, now, text, sizeof text);
	assert_string_equal(text, "weir: " HOST ": the quota of 100 a day is spent; it begins anew on 2026-11-28 at 00:00 UTC");
	assert_int_equal(events_of(WEIR_EVENT_QUOTA_LOW, &e), 1);
	assert_int_equal(e.before, 80);
	assert_int_equal(e.after, 100);
	assert_int_equal(events_of(WEIR_EVENT_QUOTA_SPENT, &e), 1);
	assert_int_equal(e.before, 100);
	now = 12 * 3600 * SECOND;
	assert_int_equal(use_up(), 100);
	assert_int_equal(events_of(WEIR_EVENT_QUOTA_SPENT, &e), 2);
}

static void a_new_window_that_is_near_enough_is_waited_for(void **state)
{
	struct weir_request r;
	uint64_t wake;

	(void)state;
	quota("3/day UTC");
	now = 12 * 3600 * SECOND - 40 * SECOND;
	assert_int_equal(use_up(), 3);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT);
	assert_int_equal(r.cause, WEIR_CAUSE_QUOTA_SPENT);
	now += 39 * SECOND;
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_WAIT);
	now += SECOND;
	assert_int_equal(weir_gate_look(&gate, &r, now, &wake), WEIR_GO);
	/* It is counted in the window in which it goes. */
	assert_int_equal(use_up(), 2);
}

static void all_quotas_of_a_rule_hold_and_none_is_charged_for_a_request_that_another_keeps(void **state)
{
	(void)state;
	quota("10/hour UTC");
	quota("25/day UTC");
	quota("1000/6h rolling");
	assert_int_equal(use_up(), 10);
	now += 3600 * SECOND;
	assert_int_equal(use_up(), 10);
	now += 3600 * SECOND;
	assert_int_equal(use_up(), 5);
	now += 3600 * SECOND;
	assert_int_equal(use_up(), 0);
	now = 13 * 3600 * SECOND; /* tomorrow */
	assert_int_equal(use_up(), 10);
}

static void who_gives_up_before_it_goes_uses_nothing(void **state)
{
	struct weir_request r, kept;
	uint64_t wake;

	(void)state;
	quota("2/day UTC");
	rule.concurrency.mode = WEIR_CONCURRENCY_FIXED;
	rule.concurrency.max = 1;
	publish();
	go(&kept);
	assert_int_equal(begin(&r, &wake), WEIR_WAIT); /* for a permit */
	weir_gate_cancel(&gate, &r, now);
	assert_true(weir_gate_leave(&gate, &kept));
	assert_int_equal(use_up(), 2);
}

static void a_quota_that_is_spread_lets_one_go_at_a_time(void **state)
{
	struct weir_request r;
	uint64_t wake, gone = 0;

	(void)state;
	weir_allowances_spread(&rule.allowances, true);
	quota("720/hour UTC");
	while (now < 3600 * SECOND) {
		enum weir_verdict v = begin(&r, &wake);

		while (v == WEIR_WAIT) {
			assert_true(r.cause == WEIR_CAUSE_QUOTA_PACED || gone == 720);
			assert_true(wake > now);
			now = wake;
			v = weir_gate_look(&gate, &r, now, &wake);
		}
		assert_int_equal(v, WEIR_GO);
		end(&r, WEIR_SUCCEEDED, 0);
		gone += now < 3600 * SECOND;
	}
	/* It began 1,000 s into the hour, and what was left was spread over what was left. */
	assert_in_range(gone, 713, 720);
}

static void without_a_ledger_it_is_counted_in_the_segment(void **state)
{
	(void)state;
	has_ledger = false;
	quota("50/12months UTC");
	assert_int_equal(use_up(), 50);
	memset(&rule.allowances, 0, sizeof rule.allowances);
	quota("20/31d rolling");
	assert_int_equal(use_up(), 10); /* half: no window of the length may see more than the limit */
}

/* Two rules of one group may have different quotas at the same place; each counts in a meter of its own. */
static void without_a_ledger_rules_of_a_group_do_not_take_each_others_counts(void **state)
{
	struct weir_wish wish = {.host_port = "other.example.org:80"};
	struct weir_rule two[3];
	struct weir_request r;
	unsigned gone[2] = {0, 0};
	uint64_t wake;

	(void)state;
	has_ledger = false;
	strcpy(rule.group, "example");
	strcpy(rule.match, HOST);
	two[0] = two[1] = two[2] = rule;
	strcpy(two[1].match, wish.host_port);
	strcpy(two[2].match, "*");
	assert_null(weir_allowance_parse(&two[0].allowances, "20/12months UTC", T0 / 1000));
	assert_null(weir_allowance_parse(&two[1].allowances, "30/6months UTC", T0 / 1000));
	weir_policy_publish(&segment, two, 3, NULL, NULL, 0, false, 1);
	for (unsigned i = 0; i < 60; i++) {
		if (begin(&r, &wake) == WEIR_GO) {
			end(&r, WEIR_SUCCEEDED, 0);
			gone[0]++;
		}
		if (weir_gate_begin(&gate, &r, &wish, now, &wake) == WEIR_GO) {
			end(&r, WEIR_SUCCEEDED, 0);
			gone[1]++;
		}
	}
	assert_int_equal(gone[0], 20);
	assert_int_equal(gone[1], 30);
}

/* A file system that copies on write is full: the kernel would end the process at the store, and says so when it is asked. */
static void a_ledger_that_cannot_be_stored_into_any_more_goes_on_in_the_segment(void **state)
{
	(void)state;
	ledger.guarded = true;
	for (unsigned kind = 0; kind < 2; kind++) {
		unsigned gone = 0, rest;
		struct weir_request r;

		memset(&rule.allowances, 0, sizeof rule.allowances);
		quota(kind == 0 ? "100/day UTC" : "100/6h rolling");
		for (; gone < 60; gone++) {
			go(&r);
			end(&r, WEIR_SUCCEEDED, 0);
		}
		assert_false(weir_ledger_has_failed());
		assert_int_equal(mprotect(ledger.header, WEIR_LEDGER_BYTES, PROT_READ), 0);
		rest = use_up();
		assert_true(weir_ledger_has_failed());
		/* A rolling window grants half where it is counted so. */
		assert_int_equal(rest, kind == 0 ? 40 : 0);
		assert_int_equal(mprotect(ledger.header, WEIR_LEDGER_BYTES, PROT_READ | PROT_WRITE), 0);
	}
	/* Nor can it be read: it is counted as if there were none. */
	assert_int_equal(mprotect(ledger.header, WEIR_LEDGER_BYTES, PROT_NONE), 0);
	memset(&rule.allowances, 0, sizeof rule.allowances);
	quota("50/month UTC");
	assert_int_equal(use_up(), 50);
}

static void a_removed_segment_takes_nothing_back(void **state)
{
	struct weir_allowances a;

	quota("50/day UTC");
	a = rule.allowances;
	assert_int_equal(use_up(), 50);
	close_gate(state);
	open_gate(state);
	segment.ledger = the_ledger;
	rule.flags &= ~(uint32_t)WEIR_RULE_LIMITS_RATE;
	rule.allowances = a;
	publish();
	assert_int_equal(use_up(), 0);
}

static void a_dry_run_and_a_redirect_count_and_are_not_kept(void **state)
{
	struct weir_result result = {.outcome = WEIR_SUCCEEDED};
	struct weir_request r;

	(void)state;
	quota("5/day UTC");
	gate.dry_run = true;
	for (unsigned i = 0; i < 3; i++) {
		go(&r);
		end(&r, WEIR_SUCCEEDED, 0);
	}
	gate.dry_run = false;
	weir_gate_hop(&gate, HOST, &result, now);
	assert_int_equal(use_up(), 1);
	gate.dry_run = true;
	go(&r);
	assert_true(r.would_refuse);
	end(&r, WEIR_SUCCEEDED, 0);
}

static void hosts_of_a_group_share_what_there_is(void **state)
{
	struct weir_request r;
	struct weir_wish wish = {.host_port = "other.example.org:80"};
	uint64_t wake;

	(void)state;
	strcpy(rule.group, "example");
	quota("5/day UTC");
	assert_int_equal(use_up(), 5);
	assert_int_equal(weir_gate_begin(&gate, &r, &wish, now, &wake), WEIR_REFUSE);
	assert_int_equal(r.cause, WEIR_CAUSE_QUOTA_SPENT);
}

static enum weir_verdict ask_for(const char *path, struct weir_request *r)
{
	struct weir_wish wish = {.host_port = HOST};
	uint64_t wake;

	wish.asks = (struct weir_asks){path, strlen(path), weir_method_bit("GET", 3)};
	return weir_gate_begin(&gate, r, &wish, now, &wake);
}

static unsigned use_up_of(const char *path)
{
	struct weir_request r;
	unsigned gone = 0;

	while (gone < 10000 && ask_for(path, &r) == WEIR_GO) {
		end(&r, WEIR_SUCCEEDED, 0);
		gone++;
	}
	return gone;
}

/* What goes by a narrowed rule goes by its host's as well. */
static void a_path_s_quota_counts_its_own_requests_and_the_host_s_counts_all(void **state)
{
	struct weir_account_view view[WEIR_ALLOWANCES];
	struct weir_request r;
	struct weir_rule three[3];
	uint64_t ms = 0;

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		has_ledger = with == 0;
		now += 24 * 3600 * SECOND;
		strcpy(rule.match, HOST);
		three[0] = three[1] = three[2] = rule;
		strcpy(three[2].match, "*");
		three[0].narrow.first = three[0].narrow.count = 1;
		three[1].narrow.flags = WEIR_NARROW_IS;
		strcpy(three[1].narrow.path, "/search/*");
		memset(&three[0].allowances, 0, sizeof three[0].allowances);
		memset(&three[1].allowances, 0, sizeof three[1].allowances);
		assert_null(weir_allowance_parse(&three[0].allowances, "10/day UTC", T0 / 1000));
		assert_null(weir_allowance_parse(&three[1].allowances, "3/day UTC", T0 / 1000));
		weir_policy_publish(&segment, three, 3, NULL, NULL, 0, false, 1 + with);
		assert_int_equal(use_up_of("/search/1"), 3);
		assert_int_equal(ask_for("/search/2", &r), WEIR_REFUSE);
		assert_int_equal(r.cause, WEIR_CAUSE_QUOTA_SPENT);
		assert_int_equal(use_up_of("/other"), 7);
		assert_int_equal(weir_gate_quotas(&segment, weir_entry_find(&segment, HOST), view, &ms), 1);
		assert_int_equal(view[0].used, 10);
		assert_int_equal(weir_gate_quotas(&segment, weir_entry_find(&segment, HOST "#/search/*"), view, &ms), 1);
		assert_int_equal(view[0].used, 3);
		assert_true(view[0].spent);
	}
}

/* A client's share is a pace and a number of permits: the host's quota is counted once, whoever asks. */
static void a_client_with_a_share_is_counted_once_at_the_host(void **state)
{
	struct weir_account_view view[WEIR_ALLOWANCES];
	uint64_t ms = 0;

	(void)state;
	rule.narrow.client_concurrency = 5;
	quota("10/day UTC");
	strcpy(gate.client, "nightly");
	assert_int_equal(use_up(), 10);
	strcpy(gate.client, "other");
	assert_int_equal(use_up(), 0);
	assert_int_equal(weir_gate_quotas(&segment, weir_entry_find(&segment, HOST), view, &ms), 1);
	assert_int_equal(view[0].used, 10);
}

static void hosts_for_which_the_table_has_no_room_are_counted_all_the_same(void **state)
{
	char name[32];
	struct weir_wish wish = {.host_port = name};
	struct weir_request r[100];
	uint64_t wake;
	unsigned gone = 0;

	(void)state;
	quota("1/day UTC");
	for (unsigned i = 0; i < 100; i++) { /* of which 64 have entries, that are in use */
		snprintf(name, sizeof name, "host-%u:80", i);
		assert_int_equal(weir_gate_begin(&gate, &r[i], &wish, now, &wake), WEIR_GO);
	}
	for (unsigned i = 0; i < 100; i++) {
		struct weir_request again;

		snprintf(name, sizeof name, "host-%u:80", i);
		gone += weir_gate_begin(&gate, &again, &wish, now, &wake) == WEIR_GO;
	}
	assert_int_equal(gone, 0);
}

static void the_operator_s_hand_sets_what_counts_as_used(void **state)
{
	struct weir_account_view view[WEIR_ALLOWANCES];
	struct weir_event e;
	uint64_t ms = 0;
	uint32_t slot;

	(void)state;
	quota("5/day UTC");
	assert_false(weir_gate_quota_set(&segment, HOST, WEIR_ALLOWANCES, 5, now)); /* nothing is known of it */
	for (unsigned with = 0; with < 2; with++) {
		has_ledger = with == 0;
		now += 24 * 3600 * SECOND;
		assert_int_equal(use_up(), 5);
		slot = weir_entry_find(&segment, HOST);
		assert_int_equal(weir_gate_quotas(&segment, slot, view, &ms), 1);
		assert_int_equal(view[0].used, 5);
		assert_int_equal(view[0].limit, 5);
		assert_true(weir_gate_quota_set(&segment, HOST, 0, 3, now));
		assert_int_equal(use_up(), 2);
		assert_true(weir_gate_quota_set(&segment, HOST, WEIR_ALLOWANCES, 0, now));
		assert_int_equal(weir_gate_quotas(&segment, slot, view, &ms), 1);
		assert_int_equal(view[0].used, 0);
		assert_int_equal(use_up(), 5);
	}
	assert_int_equal(events_of(WEIR_EVENT_QUOTA_SET, &e), 4);
	assert_int_equal(weir_gate_quotas(&segment, UINT32_MAX, view, &ms), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_spent_quota_refuses_and_says_when_it_begins_anew, open_all, close_all),
		cmocka_unit_test_setup_teardown(a_new_window_that_is_near_enough_is_waited_for, open_all, close_all),
		cmocka_unit_test_setup_teardown(all_quotas_of_a_rule_hold_and_none_is_charged_for_a_request_that_another_keeps,
						open_all, close_all),
		cmocka_unit_test_setup_teardown(who_gives_up_before_it_goes_uses_nothing, open_all, close_all),
		cmocka_unit_test_setup_teardown(a_quota_that_is_spread_lets_one_go_at_a_time, open_all, close_all),
		cmocka_unit_test_setup_teardown(without_a_ledger_it_is_counted_in_the_segment, open_all, close_all),
		cmocka_unit_test_setup_teardown(without_a_ledger_rules_of_a_group_do_not_take_each_others_counts, open_all,
						close_all),
		cmocka_unit_test_setup_teardown(a_ledger_that_cannot_be_stored_into_any_more_goes_on_in_the_segment, open_all,
						close_all),
		cmocka_unit_test_setup_teardown(a_removed_segment_takes_nothing_back, open_all, close_all),
		cmocka_unit_test_setup_teardown(a_dry_run_and_a_redirect_count_and_are_not_kept, open_all, close_all),
		cmocka_unit_test_setup_teardown(a_path_s_quota_counts_its_own_requests_and_the_host_s_counts_all, open_all,
						close_all),
		cmocka_unit_test_setup_teardown(a_client_with_a_share_is_counted_once_at_the_host, open_all, close_all),
		cmocka_unit_test_setup_teardown(hosts_of_a_group_share_what_there_is, open_all, close_all),
		cmocka_unit_test_setup_teardown(the_operator_s_hand_sets_what_counts_as_used, open_all, close_all),
		cmocka_unit_test_setup_teardown(hosts_for_which_the_table_has_no_room_are_counted_all_the_same, open_all,
						close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
