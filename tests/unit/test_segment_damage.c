/* SPDX-License-Identifier: MIT */
/*
 * A segment of random bytes behind a good header: every operation on it ends, and none writes outside of it. The memory is
 * followed by a page that may not be touched, and under ASan everything that is the process's own is watched as well.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment_memory.h"

#define PAGE 4096U

static const struct weir_geometry geometry = {16, 24, 16, 4};
static struct weir_segment segment;
static struct weir_owner self;
static unsigned char *memory;
static size_t bytes;

/* The segment ends where the forbidden page begins, as far as its alignment allows. */
static int map_memory(void **state)
{
	size_t whole;
	unsigned char *base;

	(void)state;
	bytes = weir_segment_bytes(&geometry);
	whole = (bytes + PAGE - 1) / PAGE * PAGE;
	base = mmap(NULL, whole + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED || mprotect(base + PAGE, whole, PROT_READ | PROT_WRITE) != 0)
		return -1;
	memory = base + PAGE + (whole - bytes) / 64 * 64;
	weir_owner_self(&self);
	return 0;
}

/* Numbers that are likelier to hurt than evenly distributed ones. */
static uint64_t hostile(uint64_t *seed)
{
	uint64_t r = random_next(seed);

	switch (random_next(seed) % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return r % 32;
	case 3:
		return r % 32 << 32 | random_next(seed) % 32;
	case 4:
		return UINT64_C(1) << r % 64;
	default:
		return r;
	}
}

static void fill(uint64_t *seed)
{
	memset(memory, 0, bytes);
	assert_true(weir_segment_format(&segment, memory, bytes, &geometry, NULL, 0));
	for (size_t at = offsetof(struct weir_segment_header, policy_generation); at + 8 <= bytes; at += 8) {
		uint64_t w = hostile(seed);

		memcpy(memory + at, &w, sizeof w);
	}
	assert_null(weir_segment_attach(&segment, memory, bytes));
}

/* Index words and lease words that lead further into the operations than plain noise would. */
static void make_plausible(uint64_t *seed)
{
	for (uint32_t i = 0; i < segment.entries; i++)
		if (random_next(seed) % 2 == 0)
			segment.index[i] =
				(random_next(seed) % 4 << 62) | (random_next(seed) % 2000 << 32) | random_next(seed) % 64;
	for (uint32_t i = 0; i < segment.leases; i++)
		if (random_next(seed) % 2 == 0) {
			segment.lease[i].word = random_next(seed) % 100000 << 32 | (random_next(seed) & 0xfffff000) |
						random_next(seed) % 256 << 4 | random_next(seed) % 8;
			for (unsigned k = 0; k < WEIR_SCOPES; k++)
				*(k < WEIR_SCOPES_FIRST ? &segment.lease[i].entry[k]
							: &segment.lease[i].narrow[k - WEIR_SCOPES_FIRST]) =
					(uint32_t)(random_next(seed) % 20);
		}
	segment.header->lease_top = random_next(seed) % 40;
	for (uint32_t i = 0; i < segment.events; i++)
		segment.event[i].sequence = random_next(seed) % 40 | (random_next(seed) % 4 == 0 ? UINT64_C(1) << 63 : 0);
	segment.header->event_head = random_next(seed) % 40;
	for (int h = 0; h < 2; h++) {
		segment.policy[h]->rule_count = (uint32_t)(random_next(seed) % 6);
		segment.policy[h]->source_count = (uint32_t)(random_next(seed) % 20);
		for (uint32_t i = 0; i < segment.rules; i++)
			for (size_t k = 0; k < random_next(seed) % WEIR_MATCH_MAX; k++)
				segment.policy[h]->rule[i].match[k] = "a*?.:"[random_next(seed) % 5];
	}
}

static void use_entries(uint64_t *seed, uint64_t now)
{
	char key[WEIR_KEY_MAX];

	for (unsigned i = 0; i < 20; i++) {
		uint32_t slot;

		snprintf(key, sizeof key, "%u:80", (unsigned)(random_next(seed) % 30));
		slot = weir_entry_acquire(&segment, key, now);
		assert_true(slot <= segment.entries);
		slot = weir_entry_find(&segment, key);
		assert_true(slot < segment.entries || slot == WEIR_NONE);
		slot = (uint32_t)hostile(seed);
		weir_entry_is(&segment, slot, key);
		weir_entry_wake(&segment, slot);
		weir_entry_key(&segment, slot, key);
		assert_true(memchr(key, '\0', sizeof key) != NULL);
	}
	for (uint32_t slot = 0; slot <= segment.entries; slot++) {
		weir_entry_wake(&segment, slot);
		weir_entry_key(&segment, slot, key);
		assert_true(memchr(key, '\0', sizeof key) != NULL);
	}
	weir_entry_sweep(&segment, hostile(seed), now);
}

static void use_leases(uint64_t *seed, uint64_t now)
{
	struct weir_occupancy occupancy[17];

	for (unsigned i = 0; i < 10; i++) {
		uint32_t entry[WEIR_SCOPES], tag = 0, lease;

		for (int k = 0; k < WEIR_SCOPES; k++)
			entry[k] = (uint32_t)hostile(seed);
		lease = weir_lease_claim(&segment, &self, (uint32_t)hostile(seed), (uint32_t)hostile(seed), entry, hostile(seed),
					 now, &tag);
		assert_true(lease < segment.leases || lease == WEIR_NONE);
		weir_lease_set(&segment, lease, tag, self.pid, WEIR_LEASE_IN_FLIGHT, (unsigned)hostile(seed));
		weir_lease_set(&segment, (uint32_t)hostile(seed), tag, (uint32_t)hostile(seed),
			       (enum weir_lease_state)(hostile(seed) % 256), (unsigned)hostile(seed));
		weir_lease_audit(&segment, (uint32_t)hostile(seed));
		if (i % 2 == 0)
			weir_lease_free(&segment, lease, tag, self.pid);
	}
	weir_lease_occupancy(&segment, occupancy);
	weir_lease_reap_own(&segment, &self, now);
	weir_lease_reap(&segment, &self, false, now);
	weir_lease_reap(&segment, &self, true, now + 3 * SECOND);
	for (uint32_t slot = 0; slot <= segment.entries; slot++)
		weir_lease_audit(&segment, slot);
}

static void use_events(uint64_t *seed, uint64_t now)
{
	struct weir_event e[20];
	uint64_t next = hostile(seed);

	for (int i = 0; i < 20; i++)
		weir_event_write(&segment, (enum weir_event_kind)(hostile(seed) % 256), (enum weir_cause)(hostile(seed) % 256),
				 "a:80", hostile(seed), hostile(seed), hostile(seed), now);
	for (int i = 0; i < 4; i++) {
		size_t n = weir_event_read(&segment, &next, e, 20);

		assert_true(n <= 16);
		for (size_t k = 0; k < n; k++) {
			assert_true(e[k].kind < WEIR_EVENT_COUNT && e[k].cause < WEIR_CAUSE_COUNT);
			assert_true(memchr(e[k].key, '\0', sizeof e[k].key) != NULL);
		}
		next = i == 0 ? 0 : hostile(seed);
	}
}

static void use_policy(void)
{
	struct weir_policy_view v = weir_policy_in_force(&segment);
	static const char *const host[] = {"aaaa.a:80", "::1:80", "a", "", "*", "a.:a.:a"};
	struct weir_rule rule;

	assert_true(v.rules == NULL || (v.rule_count >= 1 && v.rule_count <= segment.rules));
	for (size_t i = 0; i < sizeof host / sizeof host[0]; i++) {
		uint32_t match = weir_policy_match(&v, host[i]);

		assert_true(match < segment.rules || (match == WEIR_NONE && v.rules == NULL));
	}
	weir_policy_fresh(&v);
	weir_rule_defaults(&rule);
	weir_policy_publish(&segment, &rule, 1, &rule, NULL, 0, false, 1);
	v = weir_policy_in_force(&segment);
	assert_int_equal(weir_policy_match(&v, "a:80"), 0);
}

static void run_seeds(uint64_t first, uint64_t count, bool plausible)
{
	for (uint64_t i = first; i < first + count; i++) {
		uint64_t seed = i, now = 1000 * SECOND + random_next(&seed) % (1000 * SECOND);

		fill(&seed);
		if (plausible)
			make_plausible(&seed);
		use_entries(&seed, now);
		use_leases(&seed, now);
		use_events(&seed, now);
		use_policy();
	}
}

static void noise_behind_a_good_header_harms_nobody(void **state)
{
	(void)state;
	run_seeds(1, 60, false);
}

static void noise_that_looks_like_a_segment_harms_nobody(void **state)
{
	(void)state;
	run_seeds(10000, 120, true);
}

static void a_segment_that_changes_under_our_hands_harms_nobody(void **state)
{
	uint64_t seed = 77;
	unsigned char *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *before = memory;
	pid_t vandal;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	memory = shared;
	fill(&seed);
	vandal = fork();
	if (vandal == 0)
		for (uint64_t n = 1;; n++) {
			size_t at = 128 + random_next(&seed) % (bytes - 136) / 8 * 8;
			uint64_t w = hostile(&seed);

			memcpy(shared + at, &w, sizeof w);
			if (n % 256 == 0)
				usleep(100);
		}
	assert_true(vandal > 0);
	for (int i = 0; i < 40; i++) {
		uint64_t now = 1000 * SECOND;

		make_plausible(&seed);
		use_entries(&seed, now);
		use_leases(&seed, now);
		use_events(&seed, now);
		for (int k = 0; k < 50; k++) {
			struct weir_policy_view v = weir_policy_in_force(&segment);

			weir_policy_match(&v, "aaaa.a:80");
			weir_policy_fresh(&v);
		}
	}
	kill(vandal, SIGKILL);
	waitpid(vandal, NULL, 0);
	munmap(shared, bytes);
	memory = before;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noise_behind_a_good_header_harms_nobody),
		cmocka_unit_test(noise_that_looks_like_a_segment_harms_nobody),
		cmocka_unit_test(a_segment_that_changes_under_our_hands_harms_nobody),
	};

	return cmocka_run_group_tests(tests, map_memory, NULL);
}
