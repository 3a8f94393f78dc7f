/* SPDX-License-Identifier: MIT */
/*
 * Keeps the segment's policy in step with the configuration files. Files that are refused leave the rules in force as they are;
 * they are published again with the new files' stamps and `rejected`, so that nobody asks for the same files twice.
 */
#ifndef WEIR_AGENT_COMPILER_H
#define WEIR_AGENT_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/policy.h"
#include "weir/runtime.h"
#include "weir/segment.h"

struct weir_compiler {
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	size_t chain_count;
	bool must_exist;                          /* the chain is WEIR_CONFIG: a file that somebody named */
	bool compiled;                            /* `policy` is the last good one */
	struct weir_policy policy;                /* its origins are what explanations quote */
	struct weir_findings findings;            /* why the files as they are now were refused; empty: they were not */
	struct weir_source sources[WEIR_SOURCES]; /* of the files as last read, good or not */
	uint32_t source_count;
	uint64_t published_ns;    /* 0: not yet */
	bool unrested;            /* the files as last read are on their way: what is compiled stays until they have rested */
	bool unrested_before;     /* and were so, with the same stamps, at the look before */
	uint64_t unrested_ns;     /* since when */
	uint64_t changing_ns;     /* since when files change without a pause; 0: they do not */
	char kept[WEIR_PATH_MAX]; /* where the last good policy is kept; empty: nowhere */
};

/* Finds the last good policy, if one was kept: it is what is compiled until files are read. */
void weir_compiler_init(struct weir_compiler *c, const struct weir_environment *e);

/* How long it is best to wait before the files are read: what has changed in the last 100 ms may be a save that is not over, and
 * a part of a file can be as valid as the whole. 0: read now. Who writes without such a pause for a second is not waited for any
 * longer. Who writes with longer pauses must write elsewhere and rename: nobody can tell such a part from a file. */
uint64_t weir_compiler_rests_in_ns(struct weir_compiler *c, uint64_t now_ns);

/* Reads and compiles the files. Publishes nothing. Returns whether they were accepted. Where one of the last good policy's files
 * is gone, empty or shorter than it was, and that has not lasted for a second, an editor may be at it: `unrested`, and the caller
 * looks again soon. Where files change during the reading it reads again, for some 50 ms at most. */
bool weir_compiler_read(struct weir_compiler *c);

/* Publishes what weir_compiler_read found, and writes event and log line. */
void weir_compiler_publish(struct weir_compiler *c, const struct weir_segment *s, uint64_t now_ns);

/* Where a zone of a quota has changed its offset: looks all of them up anew. Whether there is something to publish. */
bool weir_compiler_renew_zones(struct weir_compiler *c);

void weir_compiler_free(struct weir_compiler *c);

#endif
