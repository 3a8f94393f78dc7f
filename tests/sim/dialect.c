/* SPDX-License-Identifier: MIT */
#include "dialect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS     1000000000U
#define SKEW_S 120

static void date(char out[96], uint64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 96, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Servers round up: nobody is invited too early. */
static unsigned long long seconds(uint64_t ns)
{
	return (ns + NS - 1) / NS;
}

static void retry(enum sim_dialect dialect, const struct sim_facts *f, uint64_t wall_ns, struct sim_headers *out)
{
	uint64_t server_s = wall_ns / NS;

	out->h.retry_after = out->text[0];
	switch (dialect) {
	case SIM_RETRY_FLOAT:
		snprintf(out->text[0], sizeof(out->text[0]), "%.3f", (double)(f->retry_ns + 999999) / 1e9);
		out->told_ns = f->retry_ns;
		break;
	case SIM_A_DAY:
		snprintf(out->text[0], sizeof(out->text[0]), "86400");
		break;
	case SIM_RETRY_DATE_FAST:
	case SIM_RETRY_DATE_SLOW:
		server_s = dialect == SIM_RETRY_DATE_FAST ? server_s + SKEW_S : server_s - SKEW_S;
		date(out->text[0], server_s + seconds(f->retry_ns + wall_ns % NS));
		date(out->text[1], server_s);
		out->h.date = out->text[1];
		out->told_ns = seconds(f->retry_ns + wall_ns % NS) * NS;
		break;
	default:
		snprintf(out->text[0], sizeof(out->text[0]), "%llu", seconds(f->retry_ns));
		out->told_ns = seconds(f->retry_ns) * NS;
		break;
	}
}

static void quota(enum sim_dialect dialect, const struct sim_facts *f, uint64_t wall_ns, struct sim_headers *out)
{
	unsigned long long limit = f->limit, remaining = f->remaining, window = seconds(f->window_ns);
	unsigned long long reset = seconds(f->reset_ns);

	if (dialect == SIM_RATELIMIT_FIELD) {
		snprintf(out->text[0], sizeof(out->text[0]), "\"default\";r=%llu;t=%llu", remaining, reset);
		snprintf(out->text[1], sizeof(out->text[1]), "\"default\";q=%llu;w=%llu", limit, window);
		out->h.ratelimit = out->text[0];
		out->h.ratelimit_policy = out->text[1];
		return;
	}
	if (dialect == SIM_X_EPOCH_S)
		reset = seconds(wall_ns + f->reset_ns);
	if (dialect == SIM_X_EPOCH_MS)
		reset = (wall_ns + f->reset_ns + 999999) / 1000000;
	snprintf(out->text[0], sizeof(out->text[0]), "%llu", limit);
	snprintf(out->text[1], sizeof(out->text[1]), "%llu", remaining);
	snprintf(out->text[2], sizeof(out->text[2]), "%llu", reset);
	snprintf(out->text[3], sizeof(out->text[3]), "%llu;w=%llu", limit, window);
	date(out->text[4], wall_ns / NS);
	if (dialect == SIM_RATELIMIT_DRAFT) {
		out->h.ratelimit_limit = out->text[0];
		out->h.ratelimit_remaining = out->text[1];
		out->h.ratelimit_reset = out->text[2];
		out->h.ratelimit_policy = out->text[3];
	} else {
		out->h.x_ratelimit_limit = out->text[0];
		out->h.x_ratelimit_remaining = out->text[1];
		out->h.x_ratelimit_reset = out->text[2];
		out->h.date = out->text[4];
	}
}

/* Every header at once. What an exact reader takes from it is nothing: told_ns stays 0. */
static void nonsense(bool throttled, const char *const word[8], struct sim_headers *out)
{
	for (unsigned i = 0; i < 8; i++)
		snprintf(out->text[i], sizeof(out->text[i]), "%s", word[i]);
	out->h.retry_after = throttled ? out->text[0] : NULL;
	out->h.x_ratelimit_limit = out->text[1];
	out->h.x_ratelimit_remaining = out->text[2];
	out->h.x_ratelimit_reset = out->text[3];
	out->h.ratelimit_reset = out->text[4];
	out->h.ratelimit = out->text[5];
	out->h.ratelimit_policy = out->text[6];
	out->h.date = out->text[7];
}

static void malformed(const struct sim_facts *f, uint64_t wall_ns, struct sim_headers *out)
{
	static const char *const retry[] = {"soon", "3 parsecs", "12abc", "Wed, 99 Foo 2026 25:61:61 GMT", ";", "0x10"};
	const char *const word[8] = {retry[wall_ns / 1000 % (sizeof(retry) / sizeof(retry[0]))],
				     "many",
				     "--1",
				     "never",
				     "12abc",
				     "\"default;r=;t=banana;;",
				     "q=w=;;\"",
				     "yesterday"};

	nonsense(f->throttled, word, out);
}

static void absurd(const struct sim_facts *f, uint64_t wall_ns, struct sim_headers *out)
{
	static const char *const retry[] = {
		"31536000000", "-5", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT",
		"1e300"};
	const char *const word[8] = {retry[wall_ns / 1000 % (sizeof(retry) / sizeof(retry[0]))],
				     "0",
				     f->throttled ? "-1" : "18446744073709551616",
				     "99999999999999999999",
				     "4294967296000",
				     f->throttled ? "\"default\";r=0;t=999999999999999" : "\"default\";r=-7;t=999999999999999",
				     "\"default\";q=0;w=0",
				     "Thu, 01 Jan 1970 00:00:00 GMT"};

	nonsense(f->throttled, word, out);
}

void sim_dialect_word(enum sim_dialect dialect, const struct sim_facts *f, uint64_t wall_ns, struct sim_headers *out)
{
	memset(out, 0, sizeof(*out));
	switch (dialect) {
	case SIM_BARE:
		break;
	case SIM_MALFORMED:
		malformed(f, wall_ns, out);
		break;
	case SIM_ABSURD:
		absurd(f, wall_ns, out);
		break;
	case SIM_RATELIMIT_DRAFT:
	case SIM_RATELIMIT_FIELD:
	case SIM_X_EPOCH_S:
	case SIM_X_EPOCH_MS:
	case SIM_X_DELTA:
		quota(dialect, f, wall_ns, out);
		if (f->throttled)
			out->told_ns = f->retry_ns;
		break;
	default:
		if (f->throttled)
			retry(dialect, f, wall_ns, out);
		break;
	}
}
