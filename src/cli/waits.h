/* SPDX-License-Identifier: MIT */
/* `weir run -v` on a terminal: a wait of more than two seconds is announced as it begins, and counted down in a line that goes
 * when it is over. */
#ifndef WEIR_CLI_WAITS_H
#define WEIR_CLI_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/segment.h"

#define WEIR_WAITS_HOSTS    8
#define WEIR_WAITS_PIDS     256
#define WEIR_WAITS_TEXT_MAX 512

/* Those who wait at one host. */
struct weir_waits_host {
	uint32_t slot;
	unsigned requests;
	uint64_t next_ns; /* when the first of them may go, CLOCK_MONOTONIC; 0 = not known */
	uint64_t since_ns;
	enum weir_cause cause;
	bool is_long;
};

struct weir_waits {
	struct weir_segment segment;
	const char *variable; /* "NAME=VALUE" in the environment of the run's processes */
	uint32_t told[WEIR_WAITS_HOSTS];
	size_t told_count;
	struct {
		uint32_t pid;
		bool ours;
	} known[WEIR_WAITS_PIDS];
	size_t known_count;
	char line[WEIR_WAITS_TEXT_MAX]; /* the countdown on the terminal; empty: none */
};

/* Maps the segment. False: nothing will be said. */
bool weir_waits_begin(struct weir_waits *s, const char *segment, const char *variable);

/* Looks, and writes to the terminal that standard error is, unless that belongs to somebody else now. */
void weir_waits_look(struct weir_waits *s);

/* Takes the line away. */
void weir_waits_end(struct weir_waits *s);

#endif
