/* SPDX-License-Identifier: MIT */
/*
 * The quotas of an answer, out of whichever of these it has:
 *
 *   RateLimit, RateLimit-Policy            draft-ietf-httpapi-ratelimit-headers-07 and later
 *   RateLimit-Limit, -Remaining, -Reset    the drafts up to -06, and Docker's "100;w=21600"
 *   X-RateLimit-*, X-Rate-Limit-*          what most services have; Crossref's with an interval
 *
 * Servers send several dialects of one quota at once, and proxies add their own. So everything that is found is put together:
 * what can be the same quota becomes one, with the fields of the earlier dialect first. A value that is malformed or absurd is as
 * if it had not been said, and harms nothing beside it.
 */
#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"
#include "src/http/member.h"
#include "src/http/number.h"
#include "src/http/until.h"

#define POLICIES 8 /* members read of one header; nobody sends more than three */

/* Two dialects round the same reset differently. */
#define RESET_TOLERANCE_NS (2 * NS_PER_S)

struct policy {
	const char *name; /* not terminated; NULL: none */
	size_t name_length;
	uint64_t limit;
	uint64_t window_ns;
};

struct reading {
	const struct weir_headers *h;
	uint64_t wall_ns;
	struct policy policy[POLICIES];
	uint32_t policies;
	struct weir_quota *quota; /* [WEIR_QUOTAS] */
	uint32_t quotas;
};

/* ---- values
 * -------------------------------------------------------------------------------------------------------------------- */

/* A count of requests; false when it is absurd. */
static bool count_of(const struct member *m, enum member_field field, uint64_t *out)
{
	if (!m->has[field] || m->field[field].whole > ABSURD_COUNT)
		return false;
	*out = m->field[field].whole;
	return true;
}

/* The limit, 0 when not said: by name, or the bare number. */
static uint64_t limit_of(const struct member *m)
{
	uint64_t limit = 0;

	if (!count_of(m, MEMBER_LIMIT, &limit))
		count_of(m, MEMBER_BARE, &limit);
	return limit;
}

/* The window, 0 when not said. */
static uint64_t window_of(const struct member *m)
{
	uint64_t ns = m->has[MEMBER_WINDOW] ? weir_http_number_ns(m->field[MEMBER_WINDOW], NS_PER_S) : 0;

	return ns != UINT64_MAX ? ns : 0;
}

static void set_remaining(struct weir_quota *q, const struct member *m, enum member_field field)
{
	if (count_of(m, field, &q->remaining))
		q->has_remaining = 1;
}

static void set_reset(struct weir_quota *q, uint64_t ns)
{
	if (ns == UINT64_MAX)
		return;
	q->resets_in_ns = ns;
	q->has_reset = 1;
}

/* ---- putting together
 * ---------------------------------------------------------------------------------------------------------- */

static bool differ(uint64_t a, uint64_t b)
{
	return a != 0 && b != 0 && a != b;
}

static bool resets_differ(const struct weir_quota *a, const struct weir_quota *b)
{
	uint64_t apart =
		a->resets_in_ns > b->resets_in_ns ? a->resets_in_ns - b->resets_in_ns : b->resets_in_ns - a->resets_in_ns;

	return a->has_reset && b->has_reset && apart > RESET_TOLERANCE_NS;
}

/* Whether a and b can be one quota: nothing speaks against it, and limit or what remains speaks for it. */
static bool same_quota(const struct weir_quota *a, const struct weir_quota *b)
{
	bool same_remaining = a->has_remaining && b->has_remaining && a->remaining == b->remaining;

	if (differ(a->limit, b->limit) || differ(a->window_ns, b->window_ns) || resets_differ(a, b))
		return false;
	if (a->has_remaining && b->has_remaining && !same_remaining)
		return false;
	return (a->limit != 0 && a->limit == b->limit) || same_remaining;
}

static void fill_in(struct weir_quota *to, const struct weir_quota *from)
{
	if (to->limit == 0)
		to->limit = from->limit;
	if (to->window_ns == 0)
		to->window_ns = from->window_ns;
	if (!to->has_remaining) {
		to->remaining = from->remaining;
		to->has_remaining = from->has_remaining;
	}
	if (!to->has_reset) {
		to->resets_in_ns = from->resets_in_ns;
		to->has_reset = from->has_reset;
	}
}

static void add(struct reading *r, struct weir_quota q)
{
	/* More left than there ever is: one of the two is not what it seems. The limit is the more useful one. */
	if (q.limit != 0 && q.has_remaining && q.remaining > q.limit) {
		q.remaining = 0;
		q.has_remaining = 0;
	}
	if (q.limit == 0 && !q.has_remaining)
		return;
	for (uint32_t i = 0; i < r->quotas; i++) {
		if (same_quota(&r->quota[i], &q)) {
			fill_in(&r->quota[i], &q);
			return;
		}
	}
	if (r->quotas < WEIR_QUOTAS)
		r->quota[r->quotas++] = q;
}

/* ---- policies
 * ------------------------------------------------------------------------------------------------------------------ */

static void add_policy(struct reading *r, const struct member *m)
{
	uint64_t limit = limit_of(m), window_ns = window_of(m);

	if (limit == 0 || (window_ns == 0 && !m->name) || m->other_unit || r->policies == POLICIES)
		return;
	r->policy[r->policies++] = (struct policy){m->name, m->name_length, limit, window_ns};
}

/* Of RateLimit-Policy; and the drafts up to -05 and Docker have them in RateLimit-Limit. */
static void read_policies(struct reading *r, const char *p)
{
	for (int i = 0; p && *p != '\0' && i < POLICIES; i++) {
		struct member m;

		p = weir_http_member(p, &m);
		add_policy(r, &m);
	}
}

/* The policy that a member of RateLimit belongs to: of its name, or the only one if that has no name. */
static const struct policy *policy_of(const struct reading *r, const struct member *m)
{
	for (uint32_t i = 0; i < r->policies && m->name; i++) {
		const struct policy *p = &r->policy[i];

		if (p->name && p->name_length == m->name_length && memcmp(p->name, m->name, m->name_length) == 0)
			return p;
	}
	return r->policies == 1 && !r->policy[0].name ? &r->policy[0] : NULL;
}

/* The window of the policy with this limit, 0 when there is none. */
static uint64_t window_of_limit(const struct reading *r, uint64_t limit)
{
	for (uint32_t i = 0; i < r->policies; i++) {
		if (r->policy[i].limit == limit)
			return r->policy[i].window_ns;
	}
	return 0;
}

/* ---- dialects
 * ------------------------------------------------------------------------------------------------------------------ */

/* RateLimit. Named members are a quota each; unnamed ones ("limit=100, remaining=50, reset=5") make one together. */
static void read_ratelimit(struct reading *r, const char *p)
{
	struct weir_quota together = {0};

	for (int i = 0; p && *p != '\0' && i < POLICIES; i++) {
		struct weir_quota own = {0}, *q;
		const struct policy *policy;
		struct member m;

		p = weir_http_member(p, &m);
		if (m.other_unit)
			continue;
		q = m.name ? &own : &together;
		count_of(&m, MEMBER_LIMIT, &q->limit);
		set_remaining(q, &m, MEMBER_REMAINING);
		if (m.has[MEMBER_RESET])
			set_reset(q, weir_http_number_ns(m.field[MEMBER_RESET], NS_PER_S));
		if (!m.name)
			continue;
		policy = policy_of(r, &m);
		if (policy && own.limit == 0)
			own.limit = policy->limit;
		if (policy && own.limit == policy->limit)
			own.window_ns = policy->window_ns;
		add(r, own);
	}
	if (together.limit != 0)
		together.window_ns = window_of_limit(r, together.limit);
	add(r, together);
}

/* The quota that a member of a Remaining header speaks of: the one with its window, else the first. */
static struct weir_quota *with_window(struct weir_quota *q, uint32_t count, uint64_t window_ns)
{
	for (uint32_t i = 0; i < count && window_ns != 0; i++) {
		if (q[i].window_ns == window_ns)
			return &q[i];
	}
	return window_ns == 0 || q[0].window_ns == 0 ? &q[0] : NULL;
}

/* A header each for limit, remaining and reset, under whichever names. The first limit is the one that counts now. */
static void read_separate(struct reading *r, const char *limit, const char *remaining, const char *reset, const char *interval)
{
	struct weir_quota q[WEIR_QUOTAS] = {{0}};
	uint32_t count = 0;
	struct member m;

	for (int i = 0; limit && *limit != '\0' && i < POLICIES && count < WEIR_QUOTAS; i++) {
		limit = weir_http_member(limit, &m);
		q[count].limit = limit_of(&m);
		q[count].window_ns = window_of(&m);
		if (i == 0 && q[0].window_ns == 0 && interval && weir_http_interval(interval) != UINT64_MAX)
			q[0].window_ns = weir_http_interval(interval);
		if (i == 0 && q[0].window_ns == 0)
			q[0].window_ns = window_of_limit(r, q[0].limit);
		count += i == 0 || (q[count].limit != 0 && q[count].window_ns != 0) ? 1 : 0;
	}
	for (int i = 0; remaining && *remaining != '\0' && i < POLICIES; i++) {
		struct weir_quota *of;

		remaining = weir_http_member(remaining, &m);
		of = with_window(q, count, window_of(&m));
		if (of && !of->has_remaining)
			set_remaining(of, &m, MEMBER_BARE);
	}
	if (reset)
		set_reset(&q[0], weir_http_until_reset(reset, r->h->date, r->wall_ns));
	for (uint32_t i = 0; i < (count > 0 ? count : 1); i++)
		add(r, q[i]);
}

uint32_t weir_quota_read(const struct weir_headers *h, uint64_t wall_ns, struct weir_quota quota[WEIR_QUOTAS])
{
	struct reading r = {.h = h, .wall_ns = wall_ns, .quota = quota};

	memset(quota, 0, sizeof quota[0] * WEIR_QUOTAS);
	read_policies(&r, h->ratelimit_policy);
	read_policies(&r, h->ratelimit_limit);
	read_ratelimit(&r, h->ratelimit);
	read_separate(&r, h->ratelimit_limit, h->ratelimit_remaining, h->ratelimit_reset, NULL);
	read_separate(&r, h->x_ratelimit_limit, h->x_ratelimit_remaining, h->x_ratelimit_reset, h->x_ratelimit_interval);
	for (uint32_t i = 0; i < r.policies; i++)
		add(&r, (struct weir_quota){.limit = r.policy[i].limit, .window_ns = r.policy[i].window_ns});
	return r.quotas;
}
