#include "tests/server/dialect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/server/clock.h"

bool dialect_parse(const char *text, unsigned *spoken)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {
		{"none", 0},
		{"retry-after", DIALECT_RETRY_AFTER},
		{"retry-after-float", DIALECT_RETRY_AFTER_FLOAT},
		{"retry-after-date", DIALECT_RETRY_AFTER_DATE},
		{"ratelimit-draft", DIALECT_RATELIMIT_DRAFT},
		{"x-ratelimit-epoch", DIALECT_X_EPOCH},
		{"x-ratelimit-epoch-ms", DIALECT_X_EPOCH_MS},
		{"x-ratelimit-delta", DIALECT_X_DELTA},
		{"docker", DIALECT_DOCKER},
		{"malformed", DIALECT_MALFORMED},
		{"absurd", DIALECT_ABSURD},
		{"reddit", DIALECT_REDDIT},
		{"openai", DIALECT_OPENAI},
		{"anthropic", DIALECT_ANTHROPIC},
		{"azure", DIALECT_AZURE},
		{"retry-after-iso", DIALECT_RETRY_AFTER_ISO},
		{"two-lines", DIALECT_TWO_LINES},
	};
	char copy[256];
	char *rest = NULL;
	unsigned bits = 0;
	size_t found = 0;

	if (strlen(text) >= sizeof copy)
		return false;
	strcpy(copy, text);
	for (char *part = strtok_r(copy, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
		size_t i = 0;

		while (i < sizeof names / sizeof names[0] && strcmp(names[i].name, part) != 0)
			i++;
		if (i == sizeof names / sizeof names[0])
			return false;
		bits |= names[i].bit;
		found++;
	}
	if (found == 0)
		return false;
	*spoken = bits;
	return true;
}

__attribute__((format(printf, 3, 4))) static void add(struct announcement *a, const char *name, const char *format, ...)
{
	va_list arguments;

	if (a->headers == ANNOUNCEMENT_HEADERS)
		return;
	snprintf(a->header[a->headers].name, sizeof a->header[0].name, "%s", name);
	va_start(arguments, format);
	vsnprintf(a->header[a->headers].value, sizeof a->header[0].value, format, arguments);
	va_end(arguments);
	a->headers++;
}

static void add_date(struct announcement *a, const char *name, int64_t unix_s)
{
	time_t when = (time_t)unix_s;
	struct tm tm;
	char text[64];

	gmtime_r(&when, &tm);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	add(a, name, "%s", text);
}

static void add_iso(struct announcement *a, const char *name, int64_t unix_s)
{
	time_t when = (time_t)unix_s;
	struct tm tm;
	char text[64];

	gmtime_r(&when, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	add(a, name, "%s", text);
}

void dialect_name(struct announcement *a, const char *path)
{
	size_t length = path[0] == '/' ? strcspn(path + 1, "/?") : 0;

	add(a, "X-RateLimit-Resource", "%.*s", (int)length, path + 1);
}

static void lengthen_hold(struct announcement *a, int64_t hold_ns)
{
	if (hold_ns > a->hold_ns)
		a->hold_ns = hold_ns;
}

static void add_retry_after(struct announcement *a, unsigned spoken, int64_t retry_ns, int64_t wall_now_ns, int64_t skew_ns)
{
	if (spoken & DIALECT_RETRY_AFTER) {
		int64_t s = ns_to_units_up(retry_ns, NS_PER_S);

		add(a, "Retry-After", "%" PRId64, s);
		lengthen_hold(a, s * NS_PER_S);
	}
	if (spoken & DIALECT_RETRY_AFTER_FLOAT) {
		int64_t ms = ns_to_units_up(retry_ns, NS_PER_MS);

		add(a, "Retry-After", "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
		lengthen_hold(a, ms * NS_PER_MS);
	}
	if (spoken & DIALECT_AZURE) {
		int64_t ms = ns_to_units_up(retry_ns, NS_PER_MS);

		add(a, "Retry-After-Ms", "%" PRId64, ms);
		lengthen_hold(a, ms * NS_PER_MS);
	}
	if (spoken & DIALECT_RETRY_AFTER_ISO) {
		int64_t shown_s = ns_to_units_up(wall_now_ns + skew_ns + retry_ns, NS_PER_S);

		add_iso(a, "Retry-After", shown_s);
		lengthen_hold(a, shown_s * NS_PER_S - skew_ns - wall_now_ns);
	}
	if (spoken & DIALECT_RETRY_AFTER_DATE) {
		int64_t shown_s = ns_to_units_up(wall_now_ns + skew_ns + retry_ns, NS_PER_S);

		add_date(a, "Retry-After", shown_s);
		lengthen_hold(a, shown_s * NS_PER_S - skew_ns - wall_now_ns);
	}
}

/* Those of single services. Returns the hold. */
static int64_t add_service(struct announcement *a, unsigned spoken, struct quota_view view, int64_t shown_now_ns)
{
	int64_t reset_s = ns_to_units_up(view.reset_ns, NS_PER_S), hold_ns = 0;

	if (spoken & DIALECT_REDDIT) {
		add(a, "x-ratelimit-remaining", "%" PRId64 ".0", view.remaining);
		add(a, "x-ratelimit-used", "%" PRId64, view.limit - view.remaining);
		add(a, "x-ratelimit-reset", "%" PRId64, reset_s);
		hold_ns = reset_s * NS_PER_S;
	}
	if (spoken & DIALECT_OPENAI) {
		add(a, "x-ratelimit-limit-requests", "%" PRId64, view.limit);
		add(a, "x-ratelimit-remaining-requests", "%" PRId64, view.remaining);
		add(a, "x-ratelimit-reset-requests", "%" PRId64 "m%" PRId64 "s", reset_s / 60, reset_s % 60);
		hold_ns = reset_s * NS_PER_S;
	}
	if (spoken & DIALECT_ANTHROPIC) {
		int64_t end_s = ns_to_units_up(shown_now_ns + view.reset_ns, NS_PER_S);

		add(a, "anthropic-ratelimit-requests-limit", "%" PRId64, view.limit);
		add(a, "anthropic-ratelimit-requests-remaining", "%" PRId64, view.remaining);
		add_iso(a, "anthropic-ratelimit-requests-reset", end_s);
		hold_ns = end_s * NS_PER_S - shown_now_ns;
	}
	if (spoken & DIALECT_TWO_LINES) {
		add(a, "X-RateLimit-Limit", "100000");
		add(a, "X-RateLimit-Remaining", "99999");
		add(a, "X-RateLimit-Reset", "3600");
		add(a, "X-RateLimit-Limit", "%" PRId64, view.limit);
		add(a, "X-RateLimit-Remaining", "%" PRId64, view.remaining);
		add(a, "X-RateLimit-Reset", "%" PRId64, reset_s);
		hold_ns = reset_s * NS_PER_S;
	}
	return hold_ns;
}

/* The reset in every dialect that has one. Returns the hold it stands for. */
static int64_t add_quota(struct announcement *a, unsigned spoken, struct quota_view view, int64_t shown_now_ns)
{
	int64_t reset_s = ns_to_units_up(view.reset_ns, NS_PER_S);
	int64_t window_s = ns_to_units_up(view.window_ns, NS_PER_S);
	int64_t hold_ns = 0;

	if (spoken & DIALECT_RATELIMIT_DRAFT) {
		add(a, "RateLimit-Limit", "%" PRId64, view.limit);
		add(a, "RateLimit-Remaining", "%" PRId64, view.remaining);
		add(a, "RateLimit-Reset", "%" PRId64, reset_s);
		add(a, "RateLimit", "\"default\";r=%" PRId64 ";t=%" PRId64, view.remaining, reset_s);
		add(a, "RateLimit-Policy", "\"default\";q=%" PRId64 ";w=%" PRId64, view.limit, window_s);
		hold_ns = reset_s * NS_PER_S;
	}
	if (spoken & (DIALECT_X_EPOCH | DIALECT_X_EPOCH_MS | DIALECT_X_DELTA)) {
		int64_t x_hold_ns;

		add(a, "X-RateLimit-Limit", "%" PRId64, view.limit);
		add(a, "X-RateLimit-Remaining", "%" PRId64, view.remaining);
		if (spoken & DIALECT_X_DELTA) {
			add(a, "X-RateLimit-Reset", "%" PRId64, reset_s);
			x_hold_ns = reset_s * NS_PER_S;
		} else {
			int64_t unit_ns = spoken & DIALECT_X_EPOCH ? NS_PER_S : NS_PER_MS;
			int64_t epoch = ns_to_units_up(shown_now_ns + view.reset_ns, unit_ns);

			add(a, "X-RateLimit-Reset", "%" PRId64, epoch);
			x_hold_ns = epoch * unit_ns - shown_now_ns;
		}
		if (x_hold_ns > hold_ns)
			hold_ns = x_hold_ns;
	}
	if (spoken & DIALECT_DOCKER) {
		add(a, "ratelimit-limit", "%" PRId64 ";w=%" PRId64, view.limit, window_s);
		add(a, "ratelimit-remaining", "%" PRId64 ";w=%" PRId64, view.remaining, window_s);
	}
	if (spoken & (DIALECT_REDDIT | DIALECT_OPENAI | DIALECT_ANTHROPIC | DIALECT_TWO_LINES)) {
		int64_t service_ns = add_service(a, spoken, view, shown_now_ns);

		hold_ns = service_ns > hold_ns ? service_ns : hold_ns;
	}
	return hold_ns;
}

static void add_malformed(struct announcement *a, bool throttled, uint64_t sequence)
{
	static const char *const retry_after[] = {"soon", "3 parsecs", "12abc", "Wed, 99 Foo 2026 25:61:61 GMT", ";", "0x10"};

	if (throttled)
		add(a, "Retry-After", "%s", retry_after[sequence % (sizeof retry_after / sizeof retry_after[0])]);
	add(a, "X-RateLimit-Limit", "many");
	add(a, "X-RateLimit-Remaining", "--1");
	add(a, "X-RateLimit-Reset", "never");
	add(a, "RateLimit-Reset", "12abc");
	add(a, "RateLimit", "\"default;r=;t=banana;;");
	add(a, "RateLimit-Policy", "q=w=;;\"");
}

static void add_absurd(struct announcement *a, bool throttled, uint64_t sequence)
{
	static const char *const retry_after[] = {
		"31536000000", "-5", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT",
		"1e300"};

	if (throttled)
		add(a, "Retry-After", "%s", retry_after[sequence % (sizeof retry_after / sizeof retry_after[0])]);
	add(a, "X-RateLimit-Limit", "0");
	add(a, "X-RateLimit-Remaining", "%s", throttled ? "-1" : "18446744073709551616");
	add(a, "X-RateLimit-Reset", "99999999999999999999");
	add(a, "RateLimit-Reset", "4294967296000");
	add(a, "RateLimit", "\"default\";r=%s;t=999999999999999", throttled ? "0" : "-7");
	add(a, "RateLimit-Policy", "\"default\";q=0;w=0");
}

void dialect_announce(const struct dialect_settings *s, struct quota_view view, bool throttled, int64_t retry_ns,
		      int64_t wall_now_ns, uint64_t sequence, struct announcement *out)
{
	int64_t skew_ns = (int64_t)(s->date_skew_s * (double)NS_PER_S);
	int64_t quota_hold_ns = 0;

	out->headers = 0;
	out->hold_ns = 0;
	if (throttled) {
		if (s->retry_fixed)
			retry_ns = (int64_t)(s->retry_after_s * (double)NS_PER_S);
		view.remaining = 0;
		view.reset_ns = retry_ns;
		if (!view.known) {
			view.known = true;
			view.limit = 1;
			view.window_ns = retry_ns;
		}
	}
	add_date(out, "Date", (wall_now_ns + skew_ns) / NS_PER_S - s->age_s);
	if (s->age_s > 0)
		add(out, "Age", "%" PRId64, s->age_s);
	if (throttled)
		add_retry_after(out, s->spoken, retry_ns, wall_now_ns, skew_ns);
	if (view.known)
		quota_hold_ns = add_quota(out, s->spoken, view, wall_now_ns + skew_ns);
	if (throttled && out->hold_ns == 0)
		out->hold_ns = quota_hold_ns;
	if (s->spoken & DIALECT_MALFORMED)
		add_malformed(out, throttled, sequence);
	if (s->spoken & DIALECT_ABSURD)
		add_absurd(out, throttled, sequence);
}
