/* SPDX-License-Identifier: MIT */
#include "src/stats/spelling.h"

static bool stands_for_itself(char c)
{
	return (unsigned char)c > 0x20 && (unsigned char)c < 0x7f && c != '\\' && c != '"';
}

size_t weir_spell(const char *name, char out[WEIR_SPELLING_MAX])
{
	static const char digit[] = "0123456789abcdef";
	size_t n = 0;
	for (const char *c = name; *c && n + 5 <= WEIR_SPELLING_MAX; c++) {
		if (stands_for_itself(*c)) {
			out[n++] = *c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = digit[(unsigned char)*c >> 4];
		out[n++] = digit[(unsigned char)*c & 15];
	}
	out[n] = '\0';
	return n;
}

static int value_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool weir_unspell(char *text)
{
	char *to = text;
	for (const char *c = text; *c; c++) {
		if (*c != '\\') {
			*to++ = *c;
			continue;
		}
		int high = c[1] == 'x' ? value_of(c[2]) : -1, low = high >= 0 ? value_of(c[3]) : -1;
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high << 4 | low);
		c += 3;
	}
	*to = '\0';
	return true;
}
