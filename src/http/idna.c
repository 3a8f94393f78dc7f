/* SPDX-License-Identifier: MIT */
/*
 * International names in ASCII: each label that is not ASCII is lowered and written in Punycode (RFC 3492) behind "xn--"
 * (RFC 5890). So a name has one form as a key, whether a URL spells it out or a resolver is asked for its ASCII form.
 *
 * Of the mapping that browsers and libidn2 do before (UTS 46) there is the lowering of letters alone, for the scripts that have
 * cases and are at home in domain names. Nothing is normalised (an u with a combining diaeresis stays two code points), no wide
 * form narrowed, nothing checked for being allowed.
 */
#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"

#define LABEL_MAX 63 /* RFC 1035, 2.3.4 */
#define PREFIX    "xn--"

/* One code point of UTF-8 (RFC 3629). Returns its bytes, 0 when it is malformed. */
static size_t decode(const unsigned char *s, size_t n, uint32_t *point)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;

	if (length > n || (s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4)
		return 0;
	*point = length == 1 ? s[0] : s[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (s[i] & 0x3f);
	}
	if ((length == 3 && *point < 0x800) || (length == 4 && *point < 0x10000) || *point > 0x10ffff ||
	    (*point >= 0xd800 && *point < 0xe000))
		return 0;
	return length;
}

/* Capital letters by ranges, from the Unicode Character Database: the small one is `up` above, or, with up = 1, the next of a
 * pair that begins with the range. */
static const struct {
	uint16_t first, last;
	uint16_t up;
} capitals[] = {
	{'A', 'Z', 32},       {0x00c0, 0x00d6, 32}, {0x00d8, 0x00de, 32}, {0x0100, 0x012f, 1},  {0x0132, 0x0137, 1},
	{0x0139, 0x0148, 1},  {0x014a, 0x0177, 1},  {0x0179, 0x017e, 1},  {0x01a0, 0x01a5, 1},  {0x01af, 0x01b0, 1},
	{0x01cd, 0x01dc, 1},  {0x01de, 0x01ef, 1},  {0x01f8, 0x021f, 1},  {0x0222, 0x0233, 1},  {0x0386, 0x0386, 38},
	{0x0388, 0x038a, 37}, {0x038c, 0x038c, 64}, {0x038e, 0x038f, 63}, {0x0391, 0x03a1, 32}, {0x03a3, 0x03ab, 32},
	{0x0400, 0x040f, 80}, {0x0410, 0x042f, 32}, {0x0460, 0x0481, 1},  {0x048a, 0x04bf, 1},  {0x04c1, 0x04ce, 1},
	{0x04d0, 0x052f, 1},  {0x0531, 0x0556, 48}, {0x1e00, 0x1e95, 1},  {0x1ea0, 0x1eff, 1},
};

static uint32_t lowered(uint32_t point)
{
	if (point == 0x178)
		return 0xff;
	for (size_t i = 0; i < sizeof capitals / sizeof capitals[0]; i++) {
		if (point < capitals[i].first || point > capitals[i].last)
			continue;
		return capitals[i].up != 1 ? point + capitals[i].up : point + ((point - capitals[i].first) % 2 == 0);
	}
	return point;
}

/* RFC 3492, 6.1. */
static uint32_t adapted(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / 700 : delta / 2;
	delta += delta / points;
	for (; delta > (36 - 1) * 26 / 2; k += 36)
		delta /= 36 - 1;
	return k + (36 - 1 + 1) * delta / (delta + 38);
}

struct output {
	char text[LABEL_MAX];
	size_t used;
	bool full;
};

static void put(struct output *o, char c)
{
	if (o->used < sizeof o->text)
		o->text[o->used++] = c;
	else
		o->full = true;
}

/* Delta as a generalized variable-length integer (3.3). */
static void put_delta(struct output *o, uint32_t delta, uint32_t bias)
{
	for (uint32_t k = 36;; k += 36) {
		uint32_t threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias, digit = delta;

		if (delta >= threshold) {
			digit = threshold + (delta - threshold) % (36 - threshold);
			delta = (delta - threshold) / (36 - threshold);
		}
		put(o, (char)(digit < 26 ? 'a' + digit : '0' + (digit - 26)));
		if (digit < threshold)
			return;
	}
}

/* The smallest code point of at least `from`. */
static uint32_t next_point(const uint32_t *point, size_t n, uint32_t from)
{
	uint32_t next = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		if (point[i] >= from && point[i] < next)
			next = point[i];
	}
	return next;
}

/* RFC 3492, 6.3. No overflow: at most 63 code points below 2^21 each, and so every delta is below 2^27. */
static void encode(struct output *o, const uint32_t *point, size_t n)
{
	uint32_t bias = 72, delta = 0, basic, done;

	for (size_t i = 0; i < n; i++) {
		if (point[i] < 0x80)
			put(o, (char)point[i]);
	}
	basic = done = (uint32_t)(o->used - strlen(PREFIX));
	if (basic > 0)
		put(o, '-');
	for (uint32_t now = 0x80; done < n; delta++, now++) {
		uint32_t next = next_point(point, n, now);

		delta += (next - now) * (done + 1);
		now = next;
		for (size_t i = 0; i < n; i++) {
			delta += point[i] < now;
			if (point[i] != now)
				continue;
			put_delta(o, delta, bias);
			bias = adapted(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
}

/* A label of `n` bytes that is not ASCII. False when it is no UTF-8 or too long. */
static bool international(const char *text, size_t n, struct output *o)
{
	uint32_t point[LABEL_MAX];
	size_t points = 0;

	for (size_t at = 0, bytes; at < n; at += bytes, points++) {
		bytes = points < LABEL_MAX ? decode((const unsigned char *)text + at, n - at, &point[points]) : 0;
		if (bytes == 0)
			return false;
		point[points] = lowered(point[points]);
	}
	for (const char *c = PREFIX; *c != '\0'; c++)
		put(o, *c);
	encode(o, point, points);
	return !o->full;
}

/* Appends a label in its form to out, of which *used bytes are used. */
static bool append(const char *text, size_t n, char *out, size_t size, size_t *used)
{
	struct output o = {.used = 0};
	bool ascii = true;

	for (size_t i = 0; i < n; i++)
		ascii = ascii && (unsigned char)text[i] < 0x80;
	if (!ascii && !international(text, n, &o))
		return false;
	if (size - *used <= (ascii ? n : o.used))
		return false;
	if (!ascii)
		memcpy(out + *used, o.text, o.used);
	for (size_t i = 0; ascii && i < n; i++)
		out[*used + i] = ascii_lower(text[i]);
	*used += ascii ? n : o.used;
	return true;
}

bool weir_idna(const char *name, size_t length, char *out, size_t size)
{
	size_t used = 0, n;

	for (size_t at = 0; at < length; at += n) {
		for (n = 0; at + n < length && name[at + n] != '.' && name[at + n] != ':';)
			n++;
		if (n == 0)
			n = 1; /* what divides labels stands for itself */
		if (!append(name + at, n, out, size, &used)) {
			used = 0;
			break;
		}
	}
	if (size > 0)
		out[used] = '\0';
	return used > 0;
}
