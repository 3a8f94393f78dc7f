/* SPDX-License-Identifier: MIT */
/*
 * Libraries of which a process may hold several: two OpenSSLs, an own one behind a plugin, one that comes and goes.
 *
 * Which of them a call goes to depends on who calls. The library is looked up as the caller would have found it without weir
 * (find_real.h), once for each calling object, and all its functions come from one and the same.
 */
#ifndef WEIR_LIBRARY_H
#define WEIR_LIBRARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/preload/core/find_real.h"

#define WEIR_LIBRARIES 16
#define WEIR_CALLERS   64 /* a power of two */

/* A library that was found. The kind's own structure begins with it and goes on with pointers to functions. */
struct weir_library {
	_Atomic int state; /* 0: unused */
	struct weir_object object;
};

/* A kind of library, and those of it that were found. The caller fills in the first five. */
struct weir_library_kind {
	const char *file;         /* what its file's name begins with, for a caller that cannot be told */
	const char *const *names; /* of its functions, in the structure's order; NULL behind the last. The first tells the
				     library, and must be there; the others may be missing, and are NULL then */
	void *found;              /* WEIR_LIBRARIES of the kind's structures */
	size_t size;              /* of one */
	_Atomic uint64_t callers[WEIR_CALLERS];
};

/* Place and name of an object in 56 bits above a byte of 0, never 0: one which is loaded where another has been is not taken for
 * it.
 */
uint64_t weir_object_hash(const struct weir_object *o);

/* The function `symbol` of the one loaded object whose file's name begins with `file`, NULL where there are none or several. For
 * a caller that cannot be told: a function that ends in `return SSL_read(...);` has jumped here, and its own caller's address is
 * all there is. Takes the dynamic linker's lock. */
void *weir_only_library(const char *file, const char *symbol);

/* The library of that kind which the code at `caller` is bound to; NULL when there is none. It stays as it is while it is loaded.
 * About 100 ns when it has been asked before, else microseconds and the dynamic linker's lock. Leaves errno alone. */
const void *weir_library_for(struct weir_library_kind *kind, const void *caller);

/* The same for a hook whose function the library calls as well. *inner: this is such a call, the inner half of one that another
 * hook has seen, and goes to the library of that one. It comes from the library itself, or, where the library ends in a jump
 * (gnutls_record_send jumps into gnutls_record_send2, through the table of imported functions), from whoever called the outer
 * half: from us. *last: a thread-local pointer for each kind; the library that this thread has called last. */
const void *weir_library_called(struct weir_library_kind *kind, const void **last, const void *caller, bool *inner);

#endif
