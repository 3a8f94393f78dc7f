/* SPDX-License-Identifier: MIT */
/* Which header lines are worth keeping until an answer is read. */
#include "weir/http.h"

#include <string.h>
#include <strings.h>

/* Beginnings of every name that dialect.c and said.c ask for; a few others pass as well. */
static const char *const beginnings[] = {
	"Age", "Date", "Retry-After", "RateLimit", "X-RateLimit", "X-Rate-Limit", "X-MS-R", "X-Shopify-Shop-Api", "Anthropic-R",
};

bool weir_said_concerns(const char *name, size_t bytes)
{
	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
		size_t length = strlen(beginnings[i]);

		if (bytes >= length && ((name[0] ^ beginnings[i][0]) & ~0x20) == 0 &&
		    strncasecmp(name, beginnings[i], length) == 0)
			return true;
	}
	return false;
}
