/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/same_head.h"

#include <string.h>

bool weir_same_head(const struct weir_record *r, const void *bytes, size_t n)
{
	return n == r->head_bytes && n != 0 && memcmp(r->head, bytes, n) == 0;
}

bool weir_same_head_at(const struct weir_record *r, const void *bytes, size_t n)
{
	return n == r->head_bytes && n != 0 && (uintptr_t)bytes == r->head_at;
}

void weir_same_head_comes(struct weir_record *r, const void *bytes, size_t n)
{
	bool may_be_kept = n <= sizeof r->head && r->whose.credential == WEIR_NOBODY && !r->connects;

	r->head_bytes = 0;
	r->coming_bytes = may_be_kept ? (uint16_t)n : 0;
	memcpy(r->head, bytes, r->coming_bytes);
}

void weir_same_head_passed(struct weir_record *r, const void *bytes, size_t n)
{
	/* Something else may be sent than what was to be. */
	r->head_bytes = n == r->coming_bytes && memcmp(r->head, bytes, n) == 0 ? (uint16_t)n : 0;
	r->head_at = (uintptr_t)bytes;
	r->coming_bytes = 0;
}
