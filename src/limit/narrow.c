/* SPDX-License-Identifier: MIT */
#include "weir/narrow.h"

#include <string.h>

/* RFC 9110, RFC 5789 (PATCH), RFC 4918, 3253 and 5323 (WebDAV), QUERY. A new one goes to the end: bits are kept in segments. */
static const char *const methods[] = {"GET",       "HEAD",  "POST", "PUT",  "DELETE", "PATCH",  "OPTIONS", "TRACE",  "PROPFIND",
				      "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK",   "UNLOCK", "REPORT",  "SEARCH", "QUERY"};
#define METHODS (sizeof methods / sizeof *methods)

uint32_t weir_method_bit(const char *name, size_t bytes)
{
	for (unsigned i = 0; i < METHODS; i++)
		if (strlen(methods[i]) == bytes && memcmp(methods[i], name, bytes) == 0)
			return UINT32_C(1) << i;
	return 0;
}

const char *weir_method_name(unsigned n)
{
	return n < METHODS ? methods[n] : NULL;
}

/* Goes back to the last * only, which is enough, because an earlier one could not match anything that it cannot. */
bool weir_glob(const char *pattern, size_t pattern_bytes, const char *text, size_t text_bytes)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < text_bytes) {
		if (p < pattern_bytes && pattern[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern_bytes && (pattern[p] == '?' || pattern[p] == text[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern_bytes && pattern[p] == '*')
		p++;
	return p == pattern_bytes;
}

bool weir_narrow_meets(const struct weir_narrow *n, const struct weir_asks *asks)
{
	size_t glob = strnlen(n->path, sizeof n->path);

	if ((n->flags & WEIR_NARROW_IS) == 0 || (n->methods != 0 && (n->methods & asks->method) == 0))
		return false;
	if (glob == 0)
		return true;
	if (asks->path == NULL || glob == sizeof n->path)
		return false;
	return weir_glob(n->path, glob, asks->path,
			 asks->path_bytes < WEIR_PATH_SEEN_MAX ? asks->path_bytes : WEIR_PATH_SEEN_MAX);
}

static size_t append(char *out, size_t at, const char *text, size_t bytes)
{
	size_t room = WEIR_NARROW_NAME_MAX - 1 - at, n = bytes < room ? bytes : room;

	memcpy(out + at, text, n);
	return at + n;
}

size_t weir_narrow_name(const struct weir_narrow *n, char out[WEIR_NARROW_NAME_MAX])
{
	size_t at = 0;

	for (unsigned i = 0; i < METHODS; i++) {
		if ((n->methods >> i & 1) == 0)
			continue;
		if (at > 0)
			at = append(out, at, ",", 1);
		at = append(out, at, methods[i], strlen(methods[i]));
	}
	at = append(out, at, n->path, strnlen(n->path, sizeof n->path));
	out[at] = '\0';
	return at;
}
