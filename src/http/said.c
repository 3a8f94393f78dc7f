/* SPDX-License-Identifier: MIT */
/* What an answer says of its host's limits, and how old that is. */
#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"
#include "src/http/dialect.h"
#include "src/http/digest.h"
#include "src/http/number.h"
#include "src/http/quota.h"
#include "src/http/until.h"

#define LINES 8 /* lines read of one name */

/* RFC 9111, 5.1: how long ago the server made this answer, as caches on the way tell. Of several the first counts. One that is
 * absurd is as old as can be. */
static uint64_t age_of(const struct weir_header_lines *h)
{
	const char *p = h->line(h->of, "Age", 0);
	struct number n;
	uint64_t ns;

	if (!p)
		return 0;
	p = ascii_skip_blanks(p);
	if (!weir_http_number(&p, &n) || (*ascii_skip_blanks(p) != '\0' && *ascii_skip_blanks(p) != ','))
		return 0;
	ns = weir_http_number_ns(n, NS_PER_S);
	return ns < ABSURD_NS ? ns : ABSURD_NS;
}

static void read_wait(const struct weir_header_lines *h, const struct moment *now, struct weir_said *out)
{
	for (const struct wait_header *w = weir_wait_headers; w->name && out->wait_ns == 0; w++) {
		const char *value;

		for (uint32_t nth = 0; nth < LINES && (value = h->line(h->of, w->name, nth)) != NULL; nth++) {
			uint64_t ns = weir_http_until_last(value, w->unit_ns, now);

			out->has_wait = true;
			if (ns != UINT64_MAX && ns > out->wait_ns)
				out->wait_ns = ns;
		}
	}
}

/* What the quotas are for: the first name, else the numbers that tell one from another. */
static uint64_t resource_of(struct weir_said *said)
{
	uint64_t digest = 0;

	for (uint32_t i = 0; i < said->quotas; i++) {
		said->named = said->quota[i].resource != 0;
		if (said->named)
			return said->quota[i].resource;
	}
	for (uint32_t i = 0; i < said->quotas; i++)
		digest = weir_digest(digest, &said->quota[i].limit, sizeof said->quota[i].limit);
	return digest;
}

void weir_said_read(const struct weir_header_lines *h, uint64_t wall_ns, struct weir_said *out)
{
	struct moment now;

	memset(out, 0, sizeof *out);
	out->age_ns = age_of(h);
	now = weir_http_moment(h->line(h->of, "Date", 0), out->age_ns, wall_ns);
	read_wait(h, &now, out);
	out->quotas = weir_quota_read(h, &now, out->quota);
	out->resource = resource_of(out);
}

bool weir_said_has_quota(const struct weir_header_lines *h)
{
	if (h->line(h->of, "RateLimit", 0))
		return true;
	for (const struct dialect *d = weir_dialects; d->sign; d++) {
		if (!d->beside && h->line(h->of, d->sign, 0))
			return true;
	}
	return false;
}
