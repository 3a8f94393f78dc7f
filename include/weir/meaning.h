/* SPDX-License-Identifier: MIT */
/*
 * What a host's answers mean: is it down, or does it refuse some requests and answer others well? How long does it usually take?
 *
 * Written with every result and read where one is judged; without a lock, and every word for itself: two results at the same
 * time may lose one of two nearly equal values. Zeroed memory knows nothing. Times are CLOCK_MONOTONIC; one in the future is
 * damage and reads as now.
 */
#ifndef WEIR_MEANING_H
#define WEIR_MEANING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_meaning {
	_Atomic uint64_t succeeded_ns; /* the last good answer */
	_Atomic uint64_t silent_ns;    /* since when time-outs alone have come back; 0: something has been answered since */
	_Atomic uint64_t gap_ns;       /* the longest recent time between two good answers */
	_Atomic uint64_t usual_ns;     /* latency of good answers, smoothed */
	_Atomic uint32_t run;          /* bad answers since the last good one */
	_Atomic uint32_t longest;      /* the longest such run that a good answer ended */
	_Atomic uint32_t bad_ppm;      /* share of bad answers, smoothed */
	uint32_t pad;
	_Atomic uint64_t outage_ns; /* since when the host has been down: weir/outage.h */
	uint64_t reserved;
};
_Static_assert(sizeof(struct weir_meaning) == 64, "ABI");

/* A good answer after latency_ns. */
void weir_meaning_good(struct weir_meaning *m, uint64_t latency_ns, uint64_t now_ns);

/* An answer that is neither good nor bad: a refusal that was explained (429). */
void weir_meaning_heard(struct weir_meaning *m);

/* Nothing had come back after so long, when what our own wait had left of a client's patience was over: it takes that long at
 * least. Without this the usual latency would be that of the answers that come early enough, and fall. */
void weir_meaning_late(struct weir_meaning *m, uint64_t took_ns);

/* An answer that says that something is broken (5xx). */
void weir_meaning_bad(struct weir_meaning *m);

/* Whether it has answered well within the last ten minutes. */
bool weir_meaning_known(const struct weir_meaning *m, uint64_t now_ns);

/* How many bad answers in a row mean that the host is down, where `failures` would do for one that never answered well. */
uint32_t weir_meaning_run(const struct weir_meaning *m, uint32_t failures, uint64_t now_ns);

/* Whether the host has answered well so lately that bad answers beside it do not mean that it is down. */
bool weir_meaning_lives(const struct weir_meaning *m, uint64_t now_ns);

/* Whether a time-out of a request that was sent at sent_ns is the host's failure: it lasted well beyond the usual latency, or
 * nothing at all has been answered for a while. Notes it. */
bool weir_meaning_blames(struct weir_meaning *m, uint64_t sent_ns, uint64_t now_ns);

/* Whether a good answer has come since sent_ns. */
bool weir_meaning_good_since(const struct weir_meaning *m, uint64_t sent_ns, uint64_t now_ns);

/* The usual latency of a good answer; 0: not known. */
uint64_t weir_meaning_usual_ns(const struct weir_meaning *m);

void weir_meaning_clear(struct weir_meaning *m);

#endif
