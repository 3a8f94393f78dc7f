/* SPDX-License-Identifier: MIT */
/* The layout: formatting, attaching, and that docs/segment.md describes the structures that the compiler has. */
#include <stdlib.h>

#include "segment_memory.h"
#include "weir/ledger.h"

#define FIELD(type, field)                                                                                                       \
	{                                                                                                                        \
#type "." #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), false                         \
	}

static struct field {
	const char *name;
	size_t offset, bytes;
	bool described;
} fields[] = {
	FIELD(weir_segment_header, magic),
	FIELD(weir_segment_header, version),
	FIELD(weir_segment_header, header_bytes),
	FIELD(weir_segment_header, total_bytes),
	FIELD(weir_segment_header, entries),
	FIELD(weir_segment_header, leases),
	FIELD(weir_segment_header, events),
	FIELD(weir_segment_header, rules),
	FIELD(weir_segment_header, policy_offset),
	FIELD(weir_segment_header, index_offset),
	FIELD(weir_segment_header, lease_offset),
	FIELD(weir_segment_header, event_offset),
	FIELD(weir_segment_header, entry_offset),
	FIELD(weir_segment_header, block_offset),
	FIELD(weir_segment_header, spare_offset),
	FIELD(weir_segment_header, boot_id),
	FIELD(weir_segment_header, created_wall_ns),
	FIELD(weir_segment_header, pad0),
	FIELD(weir_segment_header, policy_generation),
	FIELD(weir_segment_header, policy_changes),
	FIELD(weir_segment_header, compile_requests),
	FIELD(weir_segment_header, agent_pid),
	FIELD(weir_segment_header, agent_seen_ns),
	FIELD(weir_segment_header, agent_spawn_ns),
	FIELD(weir_segment_header, event_head),
	FIELD(weir_segment_header, leases_lost),
	FIELD(weir_segment_header, leases_reaped),
	FIELD(weir_segment_header, lease_top),
	FIELD(weir_segment_header, audits_asked),
	FIELD(weir_segment_header, audits_done),
	FIELD(weir_segment_header, waiters_reaped),
	FIELD(weir_segment_header, salt),
	FIELD(weir_segment_header, agent_version),
	FIELD(weir_segment_header, entries_lost),
	FIELD(weir_source, path),
	FIELD(weir_source, size_bytes),
	FIELD(weir_source, ctime_ns),
	FIELD(weir_source, inode),
	FIELD(weir_policy_half, rule_count),
	FIELD(weir_policy_half, source_count),
	FIELD(weir_policy_half, compiled_wall_ns),
	FIELD(weir_policy_half, rejected),
	FIELD(weir_policy_half, total_in_use),
	FIELD(weir_policy_half, narrows),
	FIELD(weir_policy_half, pad),
	FIELD(weir_policy_half, source),
	FIELD(weir_policy_half, total),
	{"weir_policy_half.rule", offsetof(struct weir_policy_half, rule), 0, false},
	FIELD(weir_allowances, one),
	FIELD(weir_allowances, zone),
	FIELD(weir_allowance, limit),
	FIELD(weir_allowance, every),
	FIELD(weir_allowance, unit),
	FIELD(weir_allowance, flags),
	FIELD(weir_allowance, zone),
	FIELD(weir_allowance, pad),
	FIELD(weir_allowance, digest),
	FIELD(weir_zone, name),
	FIELD(weir_zone, change),
	FIELD(weir_zone, offset),
	FIELD(weir_zone, pad),
	FIELD(weir_ledger_header, magic),
	FIELD(weir_ledger_header, version),
	FIELD(weir_ledger_header, accounts),
	FIELD(weir_ledger_header, total_bytes),
	FIELD(weir_ledger_header, lost_s),
	FIELD(weir_ledger_header, check),
	FIELD(weir_ledger_header, pad),
	FIELD(weir_account, meter),
	FIELD(weir_account, mark),
	FIELD(weir_account, kept),
	FIELD(weir_account, boot),
	FIELD(weir_account, raised),
	FIELD(weir_account, used_s),
	FIELD(weir_account, part),
	FIELD(weir_account, pad),
	FIELD(weir_meter, key),
	FIELD(weir_meter, word),
	FIELD(weir_meter, next_ms),
	FIELD(weir_meter, told),
	FIELD(weir_rule, match),
	FIELD(weir_rule, group),
	FIELD(weir_rule, flags),
	FIELD(weir_rule, throttle_codes),
	FIELD(weir_rule, throttle_code),
	FIELD(weir_rule, rate),
	FIELD(weir_rule, fixed),
	FIELD(weir_rule, concurrency),
	FIELD(weir_rule, breaker),
	FIELD(weir_rule, wait_max_ns),
	FIELD(weir_rule, hold_max_ns),
	FIELD(weir_rule, grace_ns),
	FIELD(weir_rule, queue),
	FIELD(weir_queue_params, max),
	FIELD(weir_queue_params, priority),
	FIELD(weir_queue_params, shares),
	FIELD(weir_queue_params, pad),
	FIELD(weir_rule, allowances),
	FIELD(weir_rule, retry),
	FIELD(weir_rule, narrow),
	FIELD(weir_rule, degrade),
	FIELD(weir_degrade_params, watch),
	FIELD(weir_degrade_params, queue),
	FIELD(weir_degrade_params, error_permille),
	FIELD(weir_degrade_params, quota_permille),
	FIELD(weir_degrade_params, latency_ns),
	FIELD(weir_degrade_params, step_ns),
	FIELD(weir_degrade_params, recovery_ns),
	FIELD(weir_degrade_params, reserved),
	FIELD(weir_rule, reserved),
	FIELD(weir_narrow, first),
	FIELD(weir_narrow, count),
	FIELD(weir_narrow, flags),
	FIELD(weir_narrow, methods),
	FIELD(weir_narrow, client_rate),
	FIELD(weir_narrow, client_burst),
	FIELD(weir_narrow, client_concurrency),
	FIELD(weir_narrow, path),
	FIELD(weir_narrow, reserved),
	FIELD(weir_rate_params, strategy),
	FIELD(weir_rate_params, burst),
	FIELD(weir_rate_params, min),
	FIELD(weir_rate_params, max),
	FIELD(weir_rate_params, initial),
	FIELD(weir_rate_params, backoff_permille),
	FIELD(weir_rate_params, recovery_permille),
	FIELD(weir_rate_params, success_threshold),
	FIELD(weir_rate_params, error_threshold_permille),
	FIELD(weir_rate_params, interval_ns),
	FIELD(weir_fixed_rate, rate),
	FIELD(weir_fixed_rate, burst),
	FIELD(weir_fixed_rate, pad),
	FIELD(weir_concurrency_params, mode),
	FIELD(weir_concurrency_params, max),
	FIELD(weir_concurrency_params, min),
	FIELD(weir_concurrency_params, initial),
	FIELD(weir_breaker_params, failures),
	FIELD(weir_breaker_params, failure_rate_permille),
	FIELD(weir_breaker_params, slow_rate_permille),
	FIELD(weir_breaker_params, min_calls),
	FIELD(weir_breaker_params, success_threshold),
	FIELD(weir_breaker_params, open_time_factor_permille),
	FIELD(weir_breaker_params, jitter_permille),
	FIELD(weir_breaker_params, window_calls),
	FIELD(weir_breaker_params, mode),
	FIELD(weir_breaker_params, slow_call_ns),
	FIELD(weir_breaker_params, window_ns),
	FIELD(weir_breaker_params, open_time_ns),
	FIELD(weir_breaker_params, open_time_max_ns),
	FIELD(weir_breaker_params, probe_lease_ns),
	FIELD(weir_breaker_params, ramp_ns),
	FIELD(weir_retry_params, attempts),
	FIELD(weir_retry_params, on),
	FIELD(weir_retry_params, methods),
	FIELD(weir_retry_params, budget_permille),
	FIELD(weir_retry_params, base_ns),
	FIELD(weir_retry_params, cap_ns),
	FIELD(weir_retry_params, reserved),
	FIELD(weir_lease, word),
	FIELD(weir_lease, start),
	FIELD(weir_lease, deadline_ns),
	FIELD(weir_lease, thread),
	FIELD(weir_lease, pid_namespace),
	FIELD(weir_lease, entry),
	FIELD(weir_lease, breaker_generation),
	FIELD(weir_lease, breaker_probe),
	FIELD(weir_lease, admitted_s),
	FIELD(weir_lease, begun_ns),
	FIELD(weir_lease, queue),
	FIELD(weir_lease_queue, class),
	FIELD(weir_lease_queue, counted),
	FIELD(weir_lease_queue, pad),
	FIELD(weir_lease, narrow),
	FIELD(weir_lease, reserved_narrow),
	FIELD(weir_lease, waits_until_ns),
	FIELD(weir_lease, waits_cause),
	FIELD(weir_lease, reserved),
	FIELD(weir_event, sequence),
	FIELD(weir_event, at_ns),
	FIELD(weir_event, until_ns),
	FIELD(weir_event, before),
	FIELD(weir_event, after),
	FIELD(weir_event, kind),
	FIELD(weir_event, cause),
	FIELD(weir_event, pid),
	FIELD(weir_event, key),
	FIELD(weir_event, check),
	FIELD(weir_entry, used_ns),
	FIELD(weir_entry, rule),
	FIELD(weir_entry, hold),
	FIELD(weir_entry, breaker),
	FIELD(weir_entry, changes),
	FIELD(weir_entry, waiting),
	FIELD(weir_entry, set_rate),
	FIELD(weir_entry, set_until_ns),
	FIELD(weir_entry, set_concurrency),
	FIELD(weir_entry, set_burst),
	FIELD(weir_entry, update_lock),
	FIELD(weir_entry, applied),
	FIELD(weir_entry, hold_cause),
	FIELD(weir_entry, audit_due),
	FIELD(weir_entry, pad1),
	FIELD(weir_entry, bucket),
	FIELD(weir_entry, concurrency),
	FIELD(weir_entry, rate),
	FIELD(weir_entry, window),
	FIELD(weir_entry, key),
	FIELD(weir_entry, seen),
	FIELD(weir_entry, counters),
	FIELD(weir_quota_share, quota),
	FIELD(weir_quota_share, path),
	FIELD(weir_quota_share, asked_from),
	FIELD(weir_quota_share, asked_before),
	FIELD(weir_quota_share, asked_from_ns),
	FIELD(weir_quota_share, asked_end_ns),
	FIELD(weir_quota_share, spare_ns),
	FIELD(weir_quota_share, pad),
	FIELD(weir_entry, durations),
	FIELD(weir_entry, quota),
	FIELD(weir_entry, meaning),
	FIELD(weir_meaning, succeeded_ns),
	FIELD(weir_meaning, silent_ns),
	FIELD(weir_meaning, gap_ns),
	FIELD(weir_meaning, usual_ns),
	FIELD(weir_meaning, run),
	FIELD(weir_meaning, longest),
	FIELD(weir_meaning, bad_ppm),
	FIELD(weir_meaning, pad),
	FIELD(weir_meaning, outage_ns),
	FIELD(weir_meaning, reserved),
	FIELD(weir_retry_budget, level),
	FIELD(weir_retry_budget, retries),
	FIELD(weir_retry_budget, saved),
	FIELD(weir_retry_budget, exhausted),
	FIELD(weir_retry_budget, given_up),
	FIELD(weir_retry_budget, reserved),
	FIELD(weir_entry, refusal),
	FIELD(weir_entry, queue),
	FIELD(weir_entry_queue, permits),
	FIELD(weir_entry_queue, given),
	FIELD(weir_entry_queue, free_since_ns),
	FIELD(weir_entry_queue, depth),
	FIELD(weir_entry_queue, delayed),
	FIELD(weir_entry_queue, refused),
	FIELD(weir_entry_queue, pad),
	FIELD(weir_entry, meter),
	FIELD(weir_entry, retry),
	FIELD(weir_entry, reserved_narrow),
	FIELD(weir_entry, degrade),
	FIELD(weir_degrade, word),
	FIELD(weir_degrade, looked_ms),
	FIELD(weir_degrade, turn),
	FIELD(weir_degrade, told),
	FIELD(weir_degrade, shed),
	FIELD(weir_degrade, shed_turn),
	FIELD(weir_degrade, calls),
	FIELD(weir_degrade, refused),
	FIELD(weir_entry, outcomes),
	FIELD(weir_outcomes, head),
	FIELD(weir_outcomes, word),
	FIELD(weir_refusal, held),
	FIELD(weir_refusal, due_accepted),
	FIELD(weir_refusal, cap),
	FIELD(weir_refusal, state),
	FIELD(weir_breaker, word),
	FIELD(weir_breaker, streak),
	FIELD(weir_breaker, opened_total),
	FIELD(weir_breaker, pad),
	FIELD(weir_bucket, tail),
	FIELD(weir_bucket, generation),
	FIELD(weir_bucket, pace),
	FIELD(weir_bucket, numbering),
	FIELD(weir_bucket, spent),
	FIELD(weir_bucket, kept),
	FIELD(weir_bucket, gone),
	FIELD(weir_bucket, turns),
	FIELD(weir_bucket_turns, classes),
	FIELD(weir_bucket_turns, origin),
	FIELD(weir_bucket_turns, lent),
	FIELD(weir_bucket_turns, order),
	FIELD(weir_bucket_turns, passed),
	FIELD(weir_bucket_turns, pad),
	FIELD(weir_order, taken),
	FIELD(weir_order, left),
	FIELD(weir_concurrency, permits),
	FIELD(weir_concurrency, due_ns),
	FIELD(weir_concurrency, generation),
	FIELD(weir_concurrency, state),
	FIELD(weir_concurrency, sample),
	FIELD(weir_rate, accepted),
	FIELD(weir_rate, throttled),
	FIELD(weir_rate, failed),
	FIELD(weir_rate, due_ns),
	FIELD(weir_rate, generation),
	FIELD(weir_rate, state),
	FIELD(weir_rate, due_accepted),
	FIELD(weir_window_slot, calls),
	FIELD(weir_window_slot, timing),
	FIELD(weir_counters, admitted),
	FIELD(weir_counters, delayed),
	FIELD(weir_counters, refused),
	FIELD(weir_counters, reserved),
	FIELD(weir_counters, ignored),
	FIELD(weir_counters, connections),
	FIELD(weir_counters, cancelled),
	FIELD(weir_counters, would_delay),
	FIELD(weir_counters, would_refuse),
	FIELD(weir_counters, interrupted_holds),
	FIELD(weir_counters, pad),
	FIELD(weir_histogram_rest, octave),
	FIELD(weir_histogram_rest, pad),
	FIELD(weir_histogram_block, step),
	FIELD(weir_spare, tag),
	FIELD(weir_spare, next),
};

static const struct weir_geometry small = {16, 8, 8, 4};

static void *memory_of(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

	assert_non_null(memory);
	memset(memory, 0, bytes);
	return memory;
}

static void a_formatted_segment_can_be_attached(void **state)
{
	size_t bytes = weir_segment_bytes(&small);
	void *memory = memory_of(bytes);
	struct weir_segment made, found;

	(void)state;
	assert_true(weir_segment_format(&made, memory, bytes, &small, NULL, 7));
	assert_null(weir_segment_attach(&found, memory, bytes));
	assert_memory_equal(&made, &found, sizeof made);
	assert_int_equal(found.entries, 16);
	assert_int_equal(found.leases, 8);
	assert_int_equal(found.events, 8);
	assert_int_equal(found.rules, 4);
	assert_int_equal(found.header->created_wall_ns, 7);
	assert_ptr_equal((unsigned char *)(found.entry + found.entries + 1), (unsigned char *)memory + bytes);
	free(memory);
}

static void areas_do_not_overlap_and_stand_on_cache_lines(void **state)
{
	static const struct weir_geometry g[] = {{16, 1, 2, 1}, {32, 3, 4, 7}, {0, 0, 0, 0}, {65536, 65536, 65536, 65536}};

	(void)state;
	for (size_t i = 0; i < sizeof g / sizeof g[0]; i++) {
		size_t bytes = weir_segment_bytes(&g[i]);
		struct weir_segment s;
		unsigned char *memory =
			mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		assert_ptr_not_equal(memory, MAP_FAILED);
		assert_true(weir_segment_format(&s, memory, bytes, &g[i], NULL, 0));
		assert_true((unsigned char *)s.policy[0] >= (unsigned char *)(s.header + 1));
		assert_true((unsigned char *)s.policy[1] >= (unsigned char *)&s.policy[0]->rule[s.rules]);
		assert_true((unsigned char *)s.index >= (unsigned char *)&s.policy[1]->rule[s.rules]);
		assert_true((unsigned char *)s.lease >= (unsigned char *)&s.index[s.entries]);
		assert_true((unsigned char *)s.event >= (unsigned char *)&s.lease[s.leases]);
		assert_true((unsigned char *)s.block_owner >= (unsigned char *)&s.event[s.events]);
		assert_true((unsigned char *)s.block >= (unsigned char *)&s.block_owner[s.blocks]);
		assert_true((unsigned char *)s.spare >= (unsigned char *)&s.block[s.blocks]);
		assert_true((unsigned char *)s.entry >= (unsigned char *)&s.spare[s.spares]);
		assert_int_equal((uintptr_t)s.block % 64 + (uintptr_t)s.spare % 64, 0);
		assert_true((unsigned char *)&s.entry[s.entries + 1] <= memory + bytes);
		assert_int_equal((uintptr_t)s.policy[1] % 64 + (uintptr_t)s.lease % 64 + (uintptr_t)s.entry % 64, 0);
		munmap(memory, bytes);
	}
}

static void a_geometry_out_of_range_has_no_size(void **state)
{
	static const struct weir_geometry wrong[] = {
		{8, 0, 0, 0},    {17, 0, 0, 0},     {131072, 0, 0, 0}, {0, 65537, 0, 0},      {0, UINT32_MAX, 0, 0}, {0, 0, 1, 0},
		{0, 0, 1000, 0}, {0, 0, 131072, 0}, {0, 0, 0, 65537},  {0, 0, 0, UINT32_MAX}, {UINT32_MAX, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct weir_segment s;
		void *memory = memory_of(64);

		assert_int_equal(weir_segment_bytes(&wrong[i]), 0);
		assert_false(weir_segment_format(&s, memory, 64, &wrong[i], NULL, 0));
		free(memory);
	}
}

static void memory_that_is_too_small_or_not_aligned_is_refused(void **state)
{
	size_t bytes = weir_segment_bytes(&small);
	unsigned char *memory = memory_of(bytes + 64);
	struct weir_segment s;

	(void)state;
	assert_false(weir_segment_format(&s, memory, bytes - 1, &small, NULL, 0));
	assert_false(weir_segment_format(&s, memory + 8, bytes, &small, NULL, 0));
	assert_true(weir_segment_format(&s, memory, bytes, &small, NULL, 0));
	assert_non_null(weir_segment_attach(&s, memory + 8, bytes));
	assert_null(s.base);
	free(memory);
}

static void any_changed_byte_of_the_geometry_is_noticed(void **state)
{
	size_t bytes = weir_segment_bytes(&small);
	unsigned char *memory = memory_of(bytes);
	struct weir_segment s;

	(void)state;
	assert_true(weir_segment_format(&s, memory, bytes, &small, NULL, 0));
	for (size_t at = 0; at < offsetof(struct weir_segment_header, boot_id); at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memory[at] ^= (unsigned char)(1U << bit);
			assert_non_null(weir_segment_attach(&s, memory, bytes));
			assert_null(s.base);
			memory[at] ^= (unsigned char)(1U << bit);
		}
	for (size_t n = 0; n < bytes; n += 61)
		assert_non_null(weir_segment_attach(&s, memory, n));
	assert_null(weir_segment_attach(&s, memory, bytes));
	free(memory);
}

static void a_count_of_zero_in_a_header_is_not_taken_for_the_default(void **state)
{
	size_t bytes = weir_segment_bytes(NULL);
	struct weir_segment_header *h = memory_of(bytes);
	struct weir_segment s;

	(void)state;
	assert_true(weir_segment_format(&s, h, bytes, NULL, NULL, 0));
	h->entries = 0;
	assert_non_null(weir_segment_attach(&s, h, bytes));
	free(h);
}

static FILE *open_document(void)
{
	static const char above[] = "../../docs/segment.md";
	FILE *f = fopen("docs/segment.md", "r");
	char path[1024];
	const char *slash = strrchr(__FILE__, '/');

	if (f != NULL || slash == NULL)
		return f;
	snprintf(path, sizeof path, "%.*s/%s", (int)(slash - __FILE__), __FILE__, above);
	return fopen(path, "r");
}

static void the_byte_map_in_the_documentation_is_the_compilers(void **state)
{
	FILE *f = open_document();
	char line[1024], name[128];
	size_t offset, bytes;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		struct field *found = NULL;

		if (sscanf(line, "| `%127[a-z0-9_.]` | %zu | %zu |", name, &offset, &bytes) != 3)
			continue;
		for (size_t i = 0; i < sizeof fields / sizeof fields[0] && found == NULL; i++)
			if (strcmp(fields[i].name, name) == 0)
				found = &fields[i];
		if (found == NULL)
			fail_msg("docs/segment.md describes %s, which the test does not know", name);
		if (found->offset != offset || found->bytes != bytes)
			fail_msg("docs/segment.md: %s is said to be at %zu with %zu bytes, but is at %zu with %zu", name, offset,
				 bytes, found->offset, found->bytes);
		found->described = true;
	}
	fclose(f);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (!fields[i].described)
			fail_msg("docs/segment.md does not describe %s", fields[i].name);
}

static void the_documentation_leaves_no_byte_of_a_structure_out(void **state)
{
	static const struct {
		const char *type;
		size_t bytes;
	} types[] = {
		{"weir_segment_header", sizeof(struct weir_segment_header)},
		{"weir_source", sizeof(struct weir_source)},
		{"weir_policy_half", sizeof(struct weir_policy_half)},
		{"weir_rule", sizeof(struct weir_rule)},
		{"weir_rate_params", sizeof(struct weir_rate_params)},
		{"weir_fixed_rate", sizeof(struct weir_fixed_rate)},
		{"weir_concurrency_params", sizeof(struct weir_concurrency_params)},
		{"weir_breaker_params", sizeof(struct weir_breaker_params)},
		{"weir_degrade_params", sizeof(struct weir_degrade_params)},
		{"weir_degrade", sizeof(struct weir_degrade)},
		{"weir_outcomes", sizeof(struct weir_outcomes)},
		{"weir_retry_params", sizeof(struct weir_retry_params)},
		{"weir_retry_budget", sizeof(struct weir_retry_budget)},
		{"weir_lease", sizeof(struct weir_lease)},
		{"weir_event", sizeof(struct weir_event)},
		{"weir_entry", sizeof(struct weir_entry)},
		{"weir_breaker", sizeof(struct weir_breaker)},
		{"weir_bucket", sizeof(struct weir_bucket)},
		{"weir_concurrency", sizeof(struct weir_concurrency)},
		{"weir_rate", sizeof(struct weir_rate)},
		{"weir_window_slot", sizeof(struct weir_window_slot)},
		{"weir_counters", sizeof(struct weir_counters)},
		{"weir_histogram_rest", sizeof(struct weir_histogram_rest)},
		{"weir_histogram_block", sizeof(struct weir_histogram_block)},
		{"weir_spare", sizeof(struct weir_spare)},
	};

	(void)state;
	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
		size_t length = strlen(types[t].type), at = 0;

		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
			if (strncmp(fields[i].name, types[t].type, length) != 0 || fields[i].name[length] != '.')
				continue;
			assert_int_equal(fields[i].offset, at);
			at += fields[i].bytes;
		}
		assert_int_equal(at, types[t].bytes);
	}
}

static void the_file_of_the_default_geometry_has_the_documented_size(void **state)
{
	(void)state;
	assert_int_equal(weir_segment_bytes(NULL), 5987648);
	assert_true(weir_segment_bytes(NULL) <= 6 << 20);
	assert_int_equal(sizeof(struct weir_entry), 4416);
	assert_int_equal(sizeof(struct weir_policy_half), 5472);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_formatted_segment_can_be_attached),
		cmocka_unit_test(areas_do_not_overlap_and_stand_on_cache_lines),
		cmocka_unit_test(a_geometry_out_of_range_has_no_size),
		cmocka_unit_test(memory_that_is_too_small_or_not_aligned_is_refused),
		cmocka_unit_test(any_changed_byte_of_the_geometry_is_noticed),
		cmocka_unit_test(a_count_of_zero_in_a_header_is_not_taken_for_the_default),
		cmocka_unit_test(the_byte_map_in_the_documentation_is_the_compilers),
		cmocka_unit_test(the_documentation_leaves_no_byte_of_a_structure_out),
		cmocka_unit_test(the_file_of_the_default_geometry_has_the_documented_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
