/* SPDX-License-Identifier: MIT */
/* Which header lines are worth keeping until an answer is read. */
#include "weir/http.h"

#include <string.h>
#include <strings.h>

/* Beginnings of every name that dialect.c and said.c ask for; a few others pass as well. */
#define BEGINNING(text)                                                                                                          \
	{                                                                                                                        \
		text, sizeof(text) - 1                                                                                           \
	}
static const struct {
	char text[20];
	size_t length;
} beginnings[] = {
	BEGINNING("Age"),         BEGINNING("Date"),         BEGINNING("Retry-After"), BEGINNING("RateLimit"),
	BEGINNING("X-RateLimit"), BEGINNING("X-Rate-Limit"), BEGINNING("X-MS-R"),      BEGINNING("X-Shopify-Shop-Api"),
	BEGINNING("Anthropic-R"),
};

/* Whether one of them begins so: nearly every line of an answer is passed over by its first letter. */
static bool may_concern(char first)
{
	switch (first | 0x20) {
	case 'a':
	case 'd':
	case 'r':
	case 'x':
		return true;
	default:
		return false;
	}
}

bool weir_said_concerns(const char *name, size_t bytes)
{
	for (size_t i = 0; bytes > 0 && may_concern(name[0]) && i < sizeof beginnings / sizeof beginnings[0]; i++) {
		if (bytes >= beginnings[i].length && ((name[0] ^ beginnings[i].text[0]) & ~0x20) == 0 &&
		    strncasecmp(name, beginnings[i].text, beginnings[i].length) == 0)
			return true;
	}
	return false;
}
