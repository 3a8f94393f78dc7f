/* SPDX-License-Identifier: MIT */
/* The table of who shares a quota, whatever its words hold. */
#include "weir/quota_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fuzz.h"

#define SECOND UINT64_C(1000000000)
#define NOW    (1000 * SECOND)
#define DAY    (86400 * SECOND)

static struct weir_quota_share share;

static void tell(uint32_t credential, uint32_t resource, uint64_t left, uint64_t until_ns)
{
	const struct weir_share_told told = {
		.resource = resource, .limit = 60, .left = left, .until_ns = until_ns, .named = true, .alone = true};

	weir_quota_share_tell(&share, (struct weir_asker){credential, 1}, &told, NOW);
}

static void the_digest_is_siphash_under_the_salt(void **state)
{
	const uint64_t salt[2] = {1, 2}, other[2] = {1, 3};

	(void)state;
	assert_int_equal(weir_quota_share_digest(salt, 3, 4), weir_quota_share_digest(salt, 3, 4));
	assert_int_not_equal(weir_quota_share_digest(salt, 3, 4), weir_quota_share_digest(other, 3, 4));
	assert_int_not_equal(weir_quota_share_digest(salt, 3, 4), weir_quota_share_digest(salt, 4, 3));
	/* The reference's key 00..0f and its message of the sixteen bytes 00..0f: 3f2acc7f57c29bdb, cut to 32 bits. */
	assert_int_equal(weir_quota_share_digest((const uint64_t[]){UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)},
						 UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)),
			 (uint32_t)UINT64_C(0x3f2acc7f57c29bdb));
}

static void the_first_to_end_gives_way(void **state)
{
	(void)state;
	memset(&share, 0, sizeof share);
	for (uint32_t i = 1; i <= WEIR_SHARES + 1; i++)
		tell(i, 7, 0, NOW + i * SECOND);
	assert_true(weir_quota_share_spent_until(&share, (struct weir_asker){1, 1}, NOW) <= NOW);
	for (uint32_t i = 2; i <= WEIR_SHARES + 1; i++)
		assert_int_equal(weir_quota_share_spent_until(&share, (struct weir_asker){i, 1}, NOW), NOW + i * SECOND);
}

/* What the answers of one window say about its end, as far as roundings go. */
static void hear(uint64_t left, bool refused, uint64_t until_ns)
{
	const struct weir_share_told told = {
		.resource = 7, .limit = 60, .left = left, .until_ns = until_ns, .named = true, .alone = true, .refused = refused};

	weir_quota_share_tell(&share, (struct weir_asker){1, 1}, &told, NOW);
}

static void of_two_statements_about_the_same_end_the_earlier_one_holds(void **state)
{
	(void)state;
	memset(&share, 0, sizeof share);
	hear(1, false, NOW + 60 * SECOND);
	hear(0, false, NOW + 60 * SECOND - SECOND / 2);
	assert_int_equal(weir_quota_share_spent_until(&share, (struct weir_asker){1, 1}, NOW), NOW + 60 * SECOND - SECOND / 2);
	hear(0, false, NOW + 60 * SECOND + SECOND / 2);
	assert_int_equal(weir_quota_share_spent_until(&share, (struct weir_asker){1, 1}, NOW), NOW + 60 * SECOND - SECOND / 2);
}

static void who_was_refused_stays_away_for_as_long_as_it_was_told(void **state)
{
	(void)state;
	memset(&share, 0, sizeof share);
	hear(1, false, NOW + 60 * SECOND);
	hear(0, true, NOW + 60 * SECOND + SECOND / 2);
	assert_int_equal(weir_quota_share_spent_until(&share, (struct weir_asker){1, 1}, NOW), NOW + 60 * SECOND + SECOND / 2);
}

static void a_window_of_years_is_not_believed(void **state)
{
	(void)state;
	memset(&share, 0, sizeof share);
	tell(1, 7, 0, NOW + 400 * DAY);
	assert_true(weir_quota_share_spent_until(&share, (struct weir_asker){1, 1}, NOW) <= NOW);
}

static void hostile_words_stop_nobody_for_longer_than_a_month(void **state)
{
	struct fuzz f = {.state = 6};

	(void)state;
	for (int step = 0; step < 20000; step++) {
		uint64_t words[sizeof share / sizeof(uint64_t)], until;
		struct weir_asker who = {(uint32_t)fuzz_below(&f, 3), (uint32_t)fuzz_below(&f, 3)};

		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			words[i] = fuzz_next(&f) >> fuzz_below(&f, 64);
		memcpy(&share, words, sizeof share);
		until = weir_quota_share_spent_until(&share, who, NOW);
		assert_true(until <= NOW + 32 * DAY);
		(void)weir_quota_share_take(&share, who, fuzz_below(&f, 2) != 0, NOW);
		(void)weir_quota_share_outrun(&share, fuzz_next(&f), fuzz_next(&f), fuzz_next(&f), fuzz_next(&f), fuzz_next(&f),
					      NOW);
		tell(1, 2, fuzz_below(&f, 100), NOW + SECOND);
		assert_true(weir_quota_share_count(&share, NOW) <= WEIR_SHARES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_siphash_under_the_salt),
		cmocka_unit_test(the_first_to_end_gives_way),
		cmocka_unit_test(of_two_statements_about_the_same_end_the_earlier_one_holds),
		cmocka_unit_test(who_was_refused_stays_away_for_as_long_as_it_was_told),
		cmocka_unit_test(a_window_of_years_is_not_believed),
		cmocka_unit_test(hostile_words_stop_nobody_for_longer_than_a_month),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
