/* SPDX-License-Identifier: MIT */
/*
 * Programs that ask again by themselves, recognised by what they do: another attempt of weir's would multiply theirs.
 *
 * Who asks for the same once more a short time after a failure of it was handed over, and without a success of it since, repeats
 * it by himself. From then on, until so long after he was last seen to, nothing is asked again for him at that host. So a request
 * is sent as often as weir's rule says and the program repeats it together, never as often as the two multiplied; and once one is
 * noticed the others of that host as often as the program sends them.
 *
 * Of requests and hosts digests are kept, in tables of a fixed size: the memory of one process. What finds no place is not
 * recognised. Zeroed memory is valid. Any thread may call any of these at any time; no system call, no clock.
 */
#ifndef WEIR_REPEATS_H
#define WEIR_REPEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The longest wait of curl's --retry between two attempts. */
#define WEIR_REPEATS_LATELY_NS (600 * UINT64_C(1000000000))
#define WEIR_REPEATS_PLACES    64 /* a power of two */

/* A word is digest:40 | second, modulo 2^24 (half a year); 0 = none. */
struct weir_repeats {
	/* Failures that were handed over. Who goes through more URLs than there are places, and then through all again, is
	 * recognised by those that have kept theirs; who repeats one after many others by the last. */
	_Atomic uint64_t kept[WEIR_REPEATS_PLACES], last[WEIR_REPEATS_PLACES];
	_Atomic uint64_t hosts[WEIR_REPEATS_PLACES]; /* where the program was seen to repeat */
};

/* What a request or a host is known by. */
uint64_t weir_repeats_digest(const char *text, uint64_t method);

/* The program asks. Returns whether it is known to ask again by itself. Requests that were begun before the failure was handed
 * over are none that come of it: to be called when a request begins. */
bool weir_repeats_asked(struct weir_repeats *s, uint64_t request, uint64_t host, uint64_t now_ns);

/* A failure is handed over to the program. */
void weir_repeats_failed(struct weir_repeats *s, uint64_t request, uint64_t now_ns);

/* A good answer: asking once more is not because of a failure. */
void weir_repeats_succeeded(struct weir_repeats *s, uint64_t request);

#endif
