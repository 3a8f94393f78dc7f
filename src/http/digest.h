/* SPDX-License-Identifier: MIT */
/* A name as a number: FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), with its bits mixed once more and never 0. For what is
 * no secret: names that servers give their quotas. */
#ifndef WEIR_SRC_HTTP_DIGEST_H
#define WEIR_SRC_HTTP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t weir_digest(uint64_t seed, const void *bytes, size_t length)
{
	const unsigned char *p = bytes;
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

	for (size_t i = 0; i < length; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

#endif
