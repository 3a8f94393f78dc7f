/* SPDX-License-Identifier: MIT */
/*
 * The summary of one run (`weir run -s`): a small file of that run's own, in which the processes of its tree count beside the
 * segment what they do, so that nobody else's requests are in it.
 *
 * `weir run -s` makes it, whole, in the runtime directory, hands its name on in WEIR_SUMMARY, reads it when the command has
 * ended and removes it. It has the file's lock (flock) for as long as it lives: a file without it is left
 * over, and may be removed by anyone who finds it. Whoever maps the file keeps no descriptor.
 *
 * There is no lock: each word is added to by one atomic operation, and a process that dies between two of them has counted the
 * first alone. A row belongs to the host whose tag it has; whoever finds the tag and no name writes the name, all of them the
 * same bytes, so none has to wait for another who may be dead. Nothing that is read is used as an index or a length: a hostile
 * file makes wrong numbers, no more.
 */
#ifndef WEIR_SUMMARY_H
#define WEIR_SUMMARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cause.h"

#define WEIR_SUMMARY_MAGIC      UINT64_C(0x00314d5553524557) /* "WERSUM1\0", little endian: version included */
#define WEIR_SUMMARY_HOSTS      128                          /* with a row of their own; all others share one more */
#define WEIR_SUMMARY_NAME_WORDS 33
#define WEIR_SUMMARY_NAME_MAX   (8 * WEIR_SUMMARY_NAME_WORDS) /* of a "host:port", NUL included */
#define WEIR_SUMMARY_CAUSES     32

enum weir_summary_count {
	WEIR_SUMMARY_ADMITTED = 0,
	WEIR_SUMMARY_SUCCEEDED, /* these four: admitted, and over. What is missing to ADMITTED is under way, or was killed */
	WEIR_SUMMARY_THROTTLED,
	WEIR_SUMMARY_FAILED,
	WEIR_SUMMARY_IGNORED,
	WEIR_SUMMARY_CANCELLED, /* given up while they waited */
	WEIR_SUMMARY_EXEMPT,    /* by a rule */
	WEIR_SUMMARY_DELAYED,   /* waited, and were then admitted or refused; the next two are of these */
	WEIR_SUMMARY_WAITED_US,
	WEIR_SUMMARY_LONGEST_WAIT_US,
	WEIR_SUMMARY_LATENCY_US, /* from admission to the result, of those that succeeded, were throttled or failed */
	WEIR_SUMMARY_LONGEST_LATENCY_US,
	WEIR_SUMMARY_RETRIES,
	WEIR_SUMMARY_RETRIES_SAVED,
	WEIR_SUMMARY_RETRIES_EXHAUSTED,
	WEIR_SUMMARY_TRIPS,       /* a result of this run opened the breaker */
	WEIR_SUMMARY_WOULD_DELAY, /* dry run */
	WEIR_SUMMARY_WOULD_REFUSE,
	WEIR_SUMMARY_COUNTS
};

struct weir_summary_row {
	_Atomic uint64_t tag; /* a hash of the name, never 0; 0: free */
	_Atomic uint64_t name[WEIR_SUMMARY_NAME_WORDS];
	_Atomic uint64_t count[WEIR_SUMMARY_COUNTS];
	_Atomic uint64_t refused[WEIR_SUMMARY_CAUSES]; /* by weir; by enum weir_cause */
};

/* The file, all of it. */
struct weir_summary {
	uint64_t magic;
	uint64_t bytes;
	struct weir_summary_row row[WEIR_SUMMARY_HOSTS + 1]; /* the last: all those that found no room */
};
_Static_assert(WEIR_CAUSE_COUNT <= WEIR_SUMMARY_CAUSES, "a refusal has a place for its cause");
_Static_assert(sizeof(struct weir_summary) ==
		       16 + (size_t)(WEIR_SUMMARY_HOSTS + 1) * 8 *
				       (1 + WEIR_SUMMARY_NAME_WORDS + WEIR_SUMMARY_COUNTS + WEIR_SUMMARY_CAUSES),
	       "no padding");

/* What stands in one row, for who reads it: `name` is NUL-terminated, and empty where nobody has written it, or for the others'.
 */
struct weir_summary_view {
	char name[WEIR_SUMMARY_NAME_MAX];
	bool others;
	uint64_t count[WEIR_SUMMARY_COUNTS];
	uint64_t refused[WEIR_SUMMARY_CAUSES];
};

/* The row of host_port, made if need be; the others' where there is no room. Never 0, which stands for none. Lock-free. */
uint32_t weir_summary_row(struct weir_summary *s, const char *host_port);

/* Adds to a count of the row. Does nothing for a number that is no row's. */
void weir_summary_add(struct weir_summary *s, uint32_t row, enum weir_summary_count which, uint64_t n);
/* Raises it to n where it is lower. */
void weir_summary_raise(struct weir_summary *s, uint32_t row, enum weir_summary_count which, uint64_t n);
void weir_summary_refused(struct weir_summary *s, uint32_t row, enum weir_cause cause);

/* Copies the row number 1 to WEIR_SUMMARY_HOSTS + 1. False when there is nothing in it. */
bool weir_summary_read(const struct weir_summary *s, uint32_t row, struct weir_summary_view *out);

/* Adds everything of `from` to `to`: a run inside a run. */
void weir_summary_merge(struct weir_summary *to, const struct weir_summary *from);

/* Maps the file: a regular one of this user's, mode 0600, of the right size and kind. NULL, and *why (static text) and *err
 * (errno or 0), when it is not. Keeps no descriptor. Blocks for file operations only. */
struct weir_summary *weir_summary_open(const char *path, const char **why, int *err);

/* Makes the file, empty, all its blocks allocated, and locks it for as long as *fd (close-on-exec) is open or what is
 * returned is mapped, by this process or a child that has not executed another program. As above. */
struct weir_summary *weir_summary_create(const char *path, int *fd, const char **why, int *err);

/* Removes the file if nobody has its lock. Returns whether it did. */
bool weir_summary_remove_stale(const char *path);

void weir_summary_close(struct weir_summary *s);

#endif
