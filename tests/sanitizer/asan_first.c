/* SPDX-License-Identifier: MIT */
/*
 * Preloaded behind libasan.so, this starts it before any library's constructor runs (it is linked with -z initfirst).
 *
 * Otherwise it starts within the first malloc of a constructor, which may be the one of newlocale() in libp11-kit (so in curl,
 * and in everything with GnuTLS). There libc's locale lock is held, the sanitizer looks up a symbol that is not there, dlerror()
 * translates its message under that same lock, and what is left of the lock stops the program at its next setlocale().
 */
#include <stdlib.h>

static void __attribute__((constructor)) start(void)
{
	void *volatile memory = malloc(1);

	free(memory);
}
