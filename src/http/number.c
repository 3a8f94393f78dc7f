/* SPDX-License-Identifier: MIT */
#include "src/http/number.h"

#include "src/http/ascii.h"

/* Nine digits of the fraction; whatever follows rounds up, so that nobody comes back early. */
static const char *fraction(const char *p, uint32_t *nanos)
{
	uint32_t scale = 100000000;
	bool more = false;

	for (*nanos = 0; ascii_digit(*p); p++) {
		*nanos += (uint32_t)(*p - '0') * scale;
		more = more || (scale == 0 && *p != '0');
		scale /= 10;
	}
	*nanos += more ? 1 : 0;
	return p;
}

bool weir_http_number(const char **p, struct number *out)
{
	const char *at = *p;

	*out = (struct number){0, 0};
	if (!ascii_digit(*at))
		return false;
	for (; ascii_digit(*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		out->whole = out->whole > (UINT64_MAX - digit) / 10 ? UINT64_MAX : out->whole * 10 + digit;
	}
	if (*at == '.' && ascii_digit(at[1]))
		at = fraction(at + 1, &out->nanos);
	if (out->nanos >= NS_PER_S) {
		out->nanos = 0;
		out->whole += out->whole < UINT64_MAX ? 1 : 0;
	}
	*p = at;
	return true;
}

uint64_t weir_http_number_ns(struct number n, uint64_t unit_ns)
{
	uint64_t ns;

	if (n.whole > ABSURD_NS / unit_ns)
		return UINT64_MAX;
	/* nanos * unit_ns does not fit in 64 bits, so the unit's whole seconds and its rest are multiplied apart. */
	ns = n.whole * unit_ns + n.nanos * (unit_ns / NS_PER_S) + (n.nanos * (unit_ns % NS_PER_S) + NS_PER_S - 1) / NS_PER_S;
	return ns > ABSURD_NS ? UINT64_MAX : ns;
}
