/* SPDX-License-Identifier: MIT */
/* For memset and memcpy on the way of a request: where gcc knows the size it makes string instructions (rep stos, rep movs) of
 * them, which for a few hundred bytes take five times as long as the C library's functions. */
#ifndef WEIR_OPAQUE_H
#define WEIR_OPAQUE_H

#include <stddef.h>

/* n, without the compiler knowing it. */
static inline size_t weir_opaque(size_t n)
{
	__asm__("" : "+r"(n));
	return n;
}

#endif
