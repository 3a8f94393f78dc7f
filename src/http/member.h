/* SPDX-License-Identifier: MIT */
/*
 * One member of a list as the quota headers have it, through all drafts of draft-ietf-httpapi-ratelimit-headers:
 *
 *   100                       -03 to -06, RateLimit-Limit: the quota
 *   100;w=60;comment="x"      a policy (and Docker's Limit and Remaining)
 *   limit=100                 -07, RateLimit
 *   "default";r=50;t=30       -08 and later, RateLimit
 *   "default";q=100;w=60      -08 and later, RateLimit-Policy (Hugging Face: "fixed window";"api";q=500;w=300)
 *
 * The reader takes what it knows and skips what it does not, so that a strange parameter costs itself alone.
 */
#ifndef WEIR_SRC_HTTP_MEMBER_H
#define WEIR_SRC_HTTP_MEMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "src/http/number.h"

enum member_field { MEMBER_BARE, MEMBER_LIMIT, MEMBER_WINDOW, MEMBER_REMAINING, MEMBER_RESET, MEMBER_FIELDS };

struct member {
	const char *name; /* not terminated; of several strings the last one. NULL: none */
	size_t name_length;
	bool has[MEMBER_FIELDS];
	struct number field[MEMBER_FIELDS];
	bool other_unit; /* counts something else than requests */
};

/* Reads the member at p, which is not at the end. Returns the position of the next one, at the NUL when there is none. */
const char *weir_http_member(const char *p, struct member *out);

#endif
