/* SPDX-License-Identifier: MIT */
/* Damaged configurations are refused or accepted, and never crash, hang or leak. The sanitizers' builds make this worth most. */
#include "policy_files.h"

#include <stdint.h>
#include <time.h>

#include "weir/bucket.h"

/* Each takes a sanitizer many times as long. */
#ifdef __SANITIZE_ADDRESS__
#define MUTATIONS 6000
#else
#define MUTATIONS 20000
#endif

static const char *const samples[] = {
	"defaults = { rate = { strategy = \"adaptive\"; min = \"0.1/s\"; max = \"1000/s\"; burst = 5; };\n"
	"breaker = { failures = 5; jitter = 0.1; }; wait = { max = \"60s\"; }; };\n",
	"hosts = (\n{ match = \"api.github.com\"; rate = { max = \"5000/h\"; }; concurrency = { max = 20; };\n"
	"throttle_status = [ 403, 429 ]; }, # comment\n"
	"{ match = \"*.example.org:443\"; group = \"example\"; rate = { strategy = \"fixed\"; max = \"2/s\"; }; } );\n",
	"hosts = ( { match = \"[::1]:8080\"; rates = ( \"10/s\", { rate = \"5000/h\"; burst = 3; } ); breaker = false; },\n"
	"{ match = \"a\"; rate = false; concurrency = 4; exempt = true; } ); // comment\n",
	"total = { rate = \"5/s\"; concurrency = 4; }; agent = { idle_exit = \"60s\"; }; /* comment */ segment = { hosts = 1024; "
	"};\n",
};

static const char *const pieces[] = {
	"{",
	"}",
	"(",
	")",
	"[",
	"]",
	";",
	",",
	"=",
	":",
	"\"",
	"\\",
	"#",
	"//",
	"/*",
	"*/",
	"\n",
	"@include \"t\"\n",
	"true",
	"none",
	"4294967297",
	"99999999999999999999",
	"-1",
	"0.0005",
	"1e99",
	"0xffffffffffL",
	"\"5/s\"",
	"\"1h\"",
	"rate = ",
	"\x01",
	"\xff",
	"hosts = ( );",
	"match = \"*\"; ",
	"((((((((((((((((((((",
	"\"a\" \"b\"",
	"1 2",
	"..",
	"rates = ( ); ",
	"breaker = false; ",
};

/* SplitMix64, Steele, Lea, Flood 2014. */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t below(uint64_t *seed, size_t n)
{
	return (size_t)(next(seed) % n);
}

/* Replaces `gone` bytes at `at` by the given ones. */
static size_t splice(char *text, size_t length, size_t at, size_t gone, const char *bytes, size_t n)
{
	if (at > length)
		at = length;
	if (gone > length - at)
		gone = length - at;
	memmove(text + at + n, text + at + gone, length - at - gone);
	memcpy(text + at, bytes, n);
	return length - gone + n;
}

static size_t mutate(uint64_t *seed, char *text)
{
	const char *sample = samples[below(seed, COUNT(samples))];
	size_t length = strlen(sample);

	memcpy(text, sample, length);
	for (size_t rounds = 1 + below(seed, 5); rounds > 0; rounds--) {
		size_t at = below(seed, length + 1);
		const char *piece = pieces[below(seed, COUNT(pieces))];
		char byte = (char)below(seed, 256);

		switch (below(seed, 5)) {
		case 0: /* change a byte */
			length = splice(text, length, at, 1, &byte, 1);
			break;
		case 1: /* lose some */
			length = splice(text, length, at, 1 + below(seed, 12), "", 0);
			break;
		case 2: /* put something in */
			length = splice(text, length, at, 0, piece, strlen(piece));
			break;
		case 3: /* put something in the place of something else */
			length = splice(text, length, at, below(seed, 8), piece, strlen(piece));
			break;
		case 4: /* end early */
			length = below(seed, 20) == 0 ? at : length;
			break;
		}
	}
	return length;
}

static void a_rule_is_within_bounds(const struct weir_rule *r)
{
	assert_true(memchr(r->match, '\0', sizeof r->match) && r->match[0] != '\0');
	assert_non_null(memchr(r->group, '\0', sizeof r->group));
	assert_true(r->throttle_codes <= WEIR_THROTTLE_CODES);
	assert_true(r->rate.strategy <= WEIR_AGGRESSIVE && r->rate.max <= WEIR_RATE_MAX && r->rate.min <= WEIR_RATE_MAX);
	assert_true(r->rate.max == 0 || r->rate.min <= r->rate.max);
	assert_true(r->rate.burst >= 1 && r->rate.burst <= WEIR_BURST_MAX);
	assert_true(r->rate.backoff_permille >= 1 && r->rate.backoff_permille <= 999 && r->rate.recovery_permille > 1000);
	assert_true(r->concurrency.mode <= WEIR_CONCURRENCY_ADAPTIVE && r->concurrency.max <= 65535);
	assert_true(r->concurrency.mode != WEIR_CONCURRENCY_FIXED || r->concurrency.max > 0);
	assert_true(r->breaker.open_time_ns <= r->breaker.open_time_max_ns);
	assert_true(!(r->flags & WEIR_RULE_LIMITS_RATE) || r->rate.strategy != WEIR_FIXED || r->rate.max > 0);
	for (size_t i = 0; i + 1 < WEIR_RATES; i++)
		assert_true(r->fixed[i].rate <= WEIR_RATE_MAX && (r->fixed[i].rate == 0 || r->fixed[i].burst >= 1));
}

static void damaged_configurations_are_refused_with_findings_or_are_right(void **state)
{
	struct bench *b = *state;
	const char *given = getenv("WEIR_FUZZ_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	unsigned accepted = 0;

	print_message("WEIR_FUZZ_SEED=%llu repeats this\n", (unsigned long long)seed);
	chain(b, "t");
	for (unsigned i = 0; i < MUTATIONS; i++) {
		char text[2048];
		size_t length = mutate(&seed, text);

		write_bytes(b, "t", text, length);
		if (compile(b)) {
			accepted++;
			for (uint32_t k = 0; k < b->policy.rule_count; k++)
				a_rule_is_within_bounds(&b->policy.rules[k]);
			assert_int_equal(b->findings.count, 0);
		} else {
			assert_true(b->findings.count > 0);
			for (size_t k = 0; k < b->findings.count; k++)
				assert_null(strpbrk(b->findings.line[k], "\n\r\001\033"));
		}
	}
	print_message("%u of %u accepted\n", accepted, MUTATIONS);
	assert_true(accepted > MUTATIONS / 100 && accepted < MUTATIONS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(damaged_configurations_are_refused_with_findings_or_are_right, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
