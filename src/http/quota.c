/* SPDX-License-Identifier: MIT */
/*
 * The quotas of an answer, out of whichever of these it has:
 *
 *   RateLimit, RateLimit-Policy            draft-ietf-httpapi-ratelimit-headers-07 and later
 *   a header each for limit, remaining …   under the names of dialect.c
 *
 * Servers send several dialects of one quota at once, and gateways add their own, on further lines or joined by commas. So
 * everything that is found is put together: what can be the same quota becomes one, with the fields of the earlier dialect first;
 * the rest are quotas beside each other, of which the tightest counts. A value that is malformed or absurd is as if it had not
 * been said, and harms nothing beside it.
 */
#include "src/http/quota.h"

#include <string.h>

#include "src/http/ascii.h"
#include "src/http/dialect.h"
#include "src/http/digest.h"
#include "src/http/member.h"
#include "src/http/number.h"

#define POLICIES 8 /* members read of one header; nobody sends more than three */
#define LINES    8 /* lines read of one name */

/* Two dialects round the same reset differently. */
#define RESET_TOLERANCE_NS (2 * NS_PER_S)

struct policy {
	uint64_t name; /* digest, 0: none */
	uint64_t limit;
	uint64_t window_ns;
};

struct reading {
	const struct weir_header_lines *h;
	const struct moment *now;
	struct policy policy[POLICIES];
	uint32_t policies;
	struct weir_quota *quota; /* [WEIR_QUOTAS] */
	uint32_t quotas;
};

/* ---- values
 * -------------------------------------------------------------------------------------------------------------------- */

static const char *line(const struct reading *r, const char *name, uint32_t nth)
{
	return name && nth < LINES ? r->h->line(r->h->of, name, nth) : NULL;
}

static uint64_t name_of(const struct member *m)
{
	return m->name ? weir_digest(0, m->name, m->name_length) : 0;
}

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
	if (to->resource == 0)
		to->resource = from->resource;
}

/* Where one more would go when there is no room: in place of the one that binds least, if that binds less. */
static struct weir_quota *loosest(struct reading *r, const struct weir_quota *than)
{
	struct weir_quota *found = NULL;
	uint64_t most = than->remaining;

	for (uint32_t i = 0; i < r->quotas && than->has_remaining; i++) {
		if (!r->quota[i].has_remaining || r->quota[i].remaining > most) {
			found = &r->quota[i];
			most = found->has_remaining ? found->remaining : UINT64_MAX;
		}
	}
	return found;
}

/* Whether the answer is from a window that is over by now: a copy, of which Age tells. */
static bool outlived(const struct reading *r, const struct weir_quota *q)
{
	uint64_t age_ns = r->now->age_ns;

	return age_ns != 0 && ((q->has_reset && q->resets_in_ns == 0) || (q->window_ns != 0 && q->window_ns <= age_ns));
}

static void add(struct reading *r, struct weir_quota q)
{
	struct weir_quota *instead;

	/* More left than there ever is: one of the two is not what it seems. The limit is the more useful one. */
	if (q.limit != 0 && q.has_remaining && q.remaining > q.limit) {
		q.remaining = 0;
		q.has_remaining = 0;
	}
	if ((q.limit == 0 && !q.has_remaining) || outlived(r, &q))
		return;
	for (uint32_t i = 0; i < r->quotas; i++) {
		if (same_quota(&r->quota[i], &q)) {
			fill_in(&r->quota[i], &q);
			return;
		}
	}
	instead = r->quotas < WEIR_QUOTAS ? &r->quota[r->quotas++] : loosest(r, &q);
	if (instead)
		*instead = q;
}

/* ---- policies
 * ------------------------------------------------------------------------------------------------------------------ */

static void add_policy(struct reading *r, const struct member *m)
{
	uint64_t limit = limit_of(m), window_ns = window_of(m);

	if (limit == 0 || (window_ns == 0 && !m->name) || m->other_unit || r->policies == POLICIES)
		return;
	r->policy[r->policies++] = (struct policy){name_of(m), limit, window_ns};
}

/* Of RateLimit-Policy; and the drafts up to -05 and Docker have them in RateLimit-Limit. */
static void read_policies(struct reading *r, const char *name)
{
	const char *p;

	for (uint32_t nth = 0; (p = line(r, name, nth)) != NULL; nth++) {
		for (int i = 0; *p != '\0' && i < POLICIES; i++) {
			struct member m;

			p = weir_http_member(p, &m);
			add_policy(r, &m);
		}
	}
}

/* The policy that a member of RateLimit belongs to: of its name, or the only one if that has no name. */
static const struct policy *policy_of(const struct reading *r, uint64_t name)
{
	for (uint32_t i = 0; i < r->policies && name != 0; i++) {
		if (r->policy[i].name == name)
			return &r->policy[i];
	}
	return r->policies == 1 && r->policy[0].name == 0 ? &r->policy[0] : NULL;
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

/* ---- RateLimit
 * ----------------------------------------------------------------------------------------------------------------- */

static uint64_t less_age(const struct reading *r, uint64_t ns)
{
	return ns == UINT64_MAX ? ns : ns > r->now->age_ns ? ns - r->now->age_ns : 0;
}

static void read_item(struct reading *r, const struct member *m, struct weir_quota *together)
{
	struct weir_quota own = {0}, *q = m->name ? &own : together;
	const struct policy *policy;

	count_of(m, MEMBER_LIMIT, &q->limit);
	set_remaining(q, m, MEMBER_REMAINING);
	if (m->has[MEMBER_RESET])
		set_reset(q, less_age(r, weir_http_number_ns(m->field[MEMBER_RESET], NS_PER_S)));
	if (!m->name)
		return;
	policy = policy_of(r, name_of(m));
	if (policy && own.limit == 0)
		own.limit = policy->limit;
	if (policy && own.limit == policy->limit)
		own.window_ns = policy->window_ns;
	own.resource = name_of(m);
	add(r, own);
}

/* Named members are a quota each; the unnamed ones of a line ("limit=100, remaining=50, reset=5") make one together. */
static void read_ratelimit(struct reading *r)
{
	const char *p;

	for (uint32_t nth = 0; (p = line(r, "RateLimit", nth)) != NULL; nth++) {
		struct weir_quota together = {0};

		for (int i = 0; *p != '\0' && i < POLICIES; i++) {
			struct member m;

			p = weir_http_member(p, &m);
			if (!m.other_unit)
				read_item(r, &m, &together);
		}
		if (together.limit != 0)
			together.window_ns = window_of_limit(r, together.limit);
		add(r, together);
	}
}

/* ---- a header each
 * ------------------------------------------------------------------------------------------------------------- */

/* The lists of one dialect. A place whose value was not understood is kept, so that places agree; `said` tells. */
struct part {
	uint64_t value, window_ns;
	bool said;
};
struct parts {
	struct part limit[POLICIES], remaining[POLICIES], reset[POLICIES];
	uint32_t limits, remainings, resets;
};

/* "32/40", used of a limit. */
static bool used_of(const char *p, uint64_t *used, uint64_t *limit)
{
	struct number a, b;

	p = ascii_skip_blanks(p);
	if (!weir_http_number(&p, &a) || *p++ != '/' || !weir_http_number(&p, &b) || *ascii_skip_blanks(p) != '\0' ||
	    b.whole > ABSURD_COUNT)
		return false;
	*used = a.whole;
	*limit = b.whole;
	return true;
}

static uint32_t read_counts(const struct reading *r, const char *name, struct part out[POLICIES])
{
	uint32_t count = 0;
	const char *p;

	for (uint32_t nth = 0; (p = line(r, name, nth)) != NULL; nth++) {
		while (*p != '\0' && count < POLICIES) {
			struct part *part = &out[count++];
			struct member m;

			p = weir_http_member(p, &m);
			part->said = count_of(&m, MEMBER_BARE, &part->value) || count_of(&m, MEMBER_LIMIT, &part->value);
			part->window_ns = window_of(&m);
		}
	}
	return count;
}

static uint32_t read_resets(const struct reading *r, const char *name, struct part out[POLICIES])
{
	char value[WEIR_TOKEN_MAX];
	uint32_t count = 0;
	const char *p;

	for (uint32_t nth = 0; (p = line(r, name, nth)) != NULL && count < POLICIES; nth++) {
		out[count].value = weir_http_until_reset(p, NS_PER_S, r->now); /* first as a whole: a date has a comma */
		if (out[count].value != UINT64_MAX || !strchr(p, ',')) {
			out[count].said = out[count].value != UINT64_MAX;
			count++;
			continue;
		}
		for (; count < POLICIES && weir_http_token(&p, value); count++) {
			out[count].value = weir_http_until_reset(value, NS_PER_S, r->now);
			out[count].said = out[count].value != UINT64_MAX;
		}
	}
	return count;
}

/* What is used, where what remains is not said. */
__attribute__((noinline)) static void read_used(const struct reading *r, const struct dialect *d, struct parts *p)
{
	struct part used[POLICIES] = {{0}};
	uint32_t n = read_counts(r, d->used, used);

	for (uint32_t i = 0; i < n && i < p->limits; i++) {
		p->remaining[i].said = used[i].said && p->limit[i].said;
		p->remaining[i].value = p->limit[i].value > used[i].value ? p->limit[i].value - used[i].value : 0;
		p->remainings = i + 1;
	}
}

static bool read_parts(const struct reading *r, const struct dialect *d, struct parts *p)
{
	const char *limit = line(r, d->limit, 0);
	uint64_t used;

	memset(p, 0, sizeof *p);
	if (limit && used_of(limit, &used, &p->limit[0].value)) {
		p->limit[0].said = p->remaining[0].said = true;
		p->remaining[0].value = p->limit[0].value > used ? p->limit[0].value - used : 0;
		p->limits = p->remainings = 1;
		return true;
	}
	p->remainings = read_counts(r, d->remaining, p->remaining);
	if (limit)
		p->limits = read_counts(r, d->limit, p->limit);
	if (p->remainings == 0 && p->limits == 0)
		return false;
	p->resets = read_resets(r, d->reset, p->reset);
	if (p->remainings == 0)
		read_used(r, d, p);
	return true;
}

static void put_limit(struct weir_quota *q, const struct part *p)
{
	q->limit = p->said ? p->value : 0;
	q->window_ns = p->window_ns;
}

static void put_remaining(struct weir_quota *q, const struct part *p)
{
	if (!p->said || q->has_remaining)
		return;
	q->remaining = p->value;
	q->has_remaining = 1;
}

/* The reset at this place of the list; where the lists do not agree, the last of all. */
static void put_reset(struct weir_quota *q, const struct parts *p, uint32_t place, bool agree)
{
	for (uint32_t i = 0; i < p->resets; i++) {
		if (p->reset[i].said && (!agree || i == place) && (!q->has_reset || p->reset[i].value > q->resets_in_ns))
			set_reset(q, p->reset[i].value);
	}
}

/* Limits without a window of their own, which those of the drafts' policies beside them have. */
static uint32_t plain_limits(const struct parts *p, uint32_t place[POLICIES])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->limits; i++) {
		if (p->limit[i].window_ns == 0)
			place[n++] = i;
	}
	return n;
}

/* Several things remain, and nothing tells their windows: the lists of several servers, in the same order. */
static void add_side_by_side(struct reading *r, const struct parts *p, uint64_t window_ns, uint64_t resource)
{
	uint32_t place[POLICIES], plain = plain_limits(p, place);

	for (uint32_t i = 0; i < p->remainings; i++) {
		struct weir_quota q = {.resource = resource};

		if (plain == p->remainings)
			put_limit(&q, &p->limit[place[i]]);
		q.window_ns = window_ns != 0 ? window_ns : q.limit != 0 ? window_of_limit(r, q.limit) : 0;
		put_remaining(&q, &p->remaining[i]);
		put_reset(&q, p, i, p->resets == p->remainings);
		add(r, q);
	}
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

/* One thing remains, or their windows tell them apart. The first limit is the one that counts now. */
static void add_by_window(struct reading *r, const struct parts *p, uint64_t window_ns, uint64_t resource)
{
	struct weir_quota q[WEIR_QUOTAS] = {{0}};
	uint32_t count = 0;

	for (uint32_t i = 0; i < p->limits && count < WEIR_QUOTAS; i++) {
		put_limit(&q[count], &p->limit[i]);
		if (i == 0 && q[0].window_ns == 0)
			q[0].window_ns = window_ns != 0 ? window_ns : window_of_limit(r, q[0].limit);
		count += i == 0 || (q[count].limit != 0 && q[count].window_ns != 0) ? 1 : 0;
	}
	for (uint32_t i = 0; i < p->remainings; i++) {
		struct weir_quota *of = with_window(q, count, p->remaining[i].window_ns);

		if (of)
			put_remaining(of, &p->remaining[i]);
	}
	put_reset(&q[0], p, 0, false);
	for (uint32_t i = 0; i < (count > 0 ? count : 1); i++) {
		q[i].resource = resource;
		add(r, q[i]);
	}
}

/* Tokens and the like: how many requests they are nobody knows, but nothing is nothing. */
static void add_other_unit(struct reading *r, const struct parts *p)
{
	for (uint32_t i = 0; i < p->remainings; i++) {
		struct weir_quota q = {.has_remaining = 1};

		put_reset(&q, p, i, p->resets == p->remainings);
		if (p->remaining[i].said && p->remaining[i].value == 0 && q.has_reset)
			add(r, q);
	}
}

static uint64_t window_said(const struct reading *r, const struct dialect *d)
{
	const char *text = line(r, d->window, 0);
	uint64_t ns = text ? weir_http_interval(text, NS_PER_S) : UINT64_MAX;

	return ns != UINT64_MAX ? ns : d->window_ns;
}

static uint64_t resource_said(const struct reading *r, const struct dialect *d)
{
	const char *text = line(r, d->resource, 0);

	return text && *text != '\0' ? weir_digest(0, text, strnlen(text, WEIR_TOKEN_MAX)) : 0;
}

/* Frames that are not joined stay small each: the caller may be on a small stack. */
__attribute__((noinline)) static void read_dialect(struct reading *r, const struct dialect *d)
{
	struct parts p;
	bool windows = false;
	uint64_t window_ns, resource;

	if ((d->beside && !line(r, d->sign, 0)) || !read_parts(r, d, &p))
		return;
	if (d->other_unit) {
		add_other_unit(r, &p);
		return;
	}
	window_ns = window_said(r, d);
	resource = resource_said(r, d);
	for (uint32_t i = 0; i < p.remainings; i++)
		windows = windows || p.remaining[i].window_ns != 0;
	if (p.remainings > 1 && !windows)
		add_side_by_side(r, &p, window_ns, resource);
	else
		add_by_window(r, &p, window_ns, resource);
}

uint32_t weir_quota_read(const struct weir_header_lines *h, const struct moment *now, struct weir_quota quota[WEIR_QUOTAS])
{
	struct reading r = {.h = h, .now = now, .quota = quota};

	memset(quota, 0, sizeof quota[0] * WEIR_QUOTAS);
	read_policies(&r, "RateLimit-Policy");
	read_policies(&r, "RateLimit-Limit");
	read_ratelimit(&r);
	for (const struct dialect *d = weir_dialects; d->sign; d++)
		read_dialect(&r, d);
	for (uint32_t i = 0; i < r.policies; i++)
		add(&r, (struct weir_quota){.limit = r.policy[i].limit, .window_ns = r.policy[i].window_ns});
	return r.quotas;
}
