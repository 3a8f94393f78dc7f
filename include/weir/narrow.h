/* SPDX-License-Identifier: MIT */
/*
 * Whom a rule is for beside the host: requests of some methods, of paths that a glob matches; and each client's share of a host.
 *
 * Part of a compiled rule (ABI). A narrowed rule stands in the table of rules behind those that hosts are looked up in, beside
 * the others of its host's rule, which says where they begin and how many there are: what a request costs does not depend on how
 * many rules there are for other hosts.
 */
#ifndef WEIR_NARROW_H
#define WEIR_NARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Narrowed rules of one host's rule: as many are asked for each of its requests. */
#define WEIR_NARROWED_MAX 16
/* The glob of a path, NUL included. */
#define WEIR_PATH_GLOB_MAX 128
/* Of the path of a request so much is compared with globs. */
#define WEIR_PATH_SEEN_MAX 1024
/* A client's name, NUL included. */
#define WEIR_CLIENT_MAX 40

enum weir_narrow_flag {
	WEIR_NARROW_IS = 1,    /* the rule is a narrowed one */
	WEIR_NARROW_APART = 2, /* its requests pass it alone, and not their host's as well */
};

struct weir_narrow {
	uint32_t first, count; /* of a host's rule: which rules are narrowed from it */
	uint32_t flags;        /* enum weir_narrow_flag */
	uint32_t methods;      /* of a narrowed rule: bits of weir_method_bit; 0: any */
	/* each client's share of a host; 0 = no limit */
	uint64_t client_rate; /* nano-admissions per second */
	uint32_t client_burst;
	uint32_t client_concurrency;
	char path[WEIR_PATH_GLOB_MAX]; /* of a narrowed rule; empty: any path */
	uint64_t reserved[12];
};
_Static_assert(sizeof(struct weir_narrow) == 256, "ABI");

/* What a request asks for, as far as it was seen. Pointers are the caller's, good for the call alone. Zeroed: nothing. */
struct weir_asks {
	const char *path; /* without the query, not terminated; NULL: not seen */
	size_t path_bytes;
	uint32_t method; /* weir_method_bit; 0: not seen, or none that a rule can name */
};

/* The bit of a method by its name, as it is sent; 0: a rule cannot name it. */
uint32_t weir_method_bit(const char *name, size_t bytes);

/* The name of the method whose bit is 1 << n; NULL: there is none. */
const char *weir_method_name(unsigned n);

/* Whether a pattern with * (any run of characters) and ? (one) matches all of the text. At most pattern x text steps. */
bool weir_glob(const char *pattern, size_t pattern_bytes, const char *text, size_t text_bytes);

/* Whether the narrowed rule is for what is asked for. What was not seen is matched by no rule that names it. */
bool weir_narrow_meets(const struct weir_narrow *n, const struct weir_asks *asks);

/* What a narrowed rule is called: its methods and its path, "POST,PUT/search/x?". Returns its length; cut, and
 * ended by NUL, where it does not fit. */
#define WEIR_NARROW_NAME_MAX 256
size_t weir_narrow_name(const struct weir_narrow *n, char out[WEIR_NARROW_NAME_MAX]);

#endif
