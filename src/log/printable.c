/* SPDX-License-Identifier: MIT */
/*
 * What may be shown on a terminal and in a log: text, and nothing that acts on either. Control characters of C0 and C1 (ECMA-48),
 * the latter as UTF-8 and as bare bytes, which a terminal that is not set to UTF-8 obeys; what separates lines (U+2028, U+2029)
 * and what turns the order of letters (U+202A to U+202E, U+2066 to U+2069: Unicode Technical Report 36, 2.10).
 */
#include "weir/log.h"

#include <stdint.h>

/* Reads one character of UTF-8 (RFC 3629). Returns its length, 0 when this is none. */
static size_t read_character(const char *text, size_t length, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)text[0];
	size_t n = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? first : first & (0x7fU >> n);

	if ((first >= 0x80 && first < 0xc0) || first >= 0xf8 || n > length)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)text[i] & 0x3fU);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*out = c;
	return n;
}

static bool acts(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void weir_make_printable(char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint32_t c = 0;
		size_t n = read_character(text + i, length - i, &c);

		if (n == 0 || acts(c)) {
			/* Byte for byte, so that nothing has to move. */
			for (size_t k = 0; k < (n == 0 ? 1 : n); k++)
				text[i + k] = '?';
		}
		i += n == 0 ? 1 : n;
	}
}
