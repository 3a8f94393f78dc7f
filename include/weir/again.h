/* SPDX-License-Identifier: MIT */
/*
 * Which answer may be asked for again. A decision on numbers: no system call, no clock, no segment.
 *
 * The order of the reasons is the order in which they are looked at, so the first that stands against it is told.
 */
#ifndef WEIR_AGAIN_H
#define WEIR_AGAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/retry.h"

/* An attempt that failed. */
struct weir_attempt {
	uint32_t number; /* 1 is the first */
	enum weir_retry_kind kind;
	uint32_t method; /* enum weir_retry_method, 0 = one that is not among them */
	bool unsent;     /* the server has not seen it, for certain: whatever its method, it is not sent twice */
	bool one_way;    /* its body cannot be had again */
	bool delivered;  /* the program has been given something of the answer */
	bool repeats;    /* the program asks again by itself */
	bool held;       /* with THROTTLED: the host has said when the next one may go */
	uint64_t now_ns;
	uint64_t over_ns; /* when the program's own time is over, 0 = it has not set one */
	uint64_t random;
};

enum weir_again {
	WEIR_AGAIN_YES = 0,
	WEIR_AGAIN_NO_FAILURE,
	WEIR_AGAIN_OFF,       /* nothing is asked again, or not after such a failure */
	WEIR_AGAIN_DELIVERED, /* the program has some of the answer */
	WEIR_AGAIN_METHOD,    /* the method is not one that may be sent twice */
	WEIR_AGAIN_BODY,      /* what was sent cannot be had again */
	WEIR_AGAIN_REPEATS,   /* the program does it */
	WEIR_AGAIN_ATTEMPTS,  /* there have been as many as the rule allows */
	WEIR_AGAIN_TIME,      /* the program's time would be over */
	WEIR_AGAIN_REASONS
};

/* Whether to ask again, and with YES how long to wait before the gate is asked (*wait_ns). The budget is another matter: it is
 * spent by whoever asks. */
enum weir_again weir_again_decide(const struct weir_retry_params *p, const struct weir_attempt *a, uint64_t *wait_ns);

/* A method's bit by its name as it is sent (upper case), 0 when it is not among them. */
uint32_t weir_method_of(const char *name, size_t length);

#endif
