/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker whose whole state is one word.
 *
 *   closed --(N consecutive failures, or failure rate, or slow-call rate over the window)--> open
 *   open --(open_time over)--> half-open, with one leased probe at a time
 *   half-open --(success_threshold probes succeeded)--> closed, with a ramp; --(a probe failed)--> open, for longer
 *
 * word = state:2 | trips:6 | generation:16 | time_ms:40. `time` is, by state: closed: when it closed (start of the ramp; 0 = no
 * ramp); open: when the next probe may go; half-open: when the lease of the probe in flight ends, 0 to 3 when none is in flight
 * and the next may go. Every transition is one CAS and raises the generation; a result carries the generation in which its
 * request was admitted and is dropped when that has passed, so late results never flip a newer state. A probe whose owner dies
 * loses its lease (by reaping or by time) and the next request probes; that stays within the generation, so that a server whose
 * answers take longer than a lease still closes the breaker: the late success of a probe counts, its late failure does not. The
 * failures that lead to opening are counted beside the word, tagged with the generation.
 *
 * Throttled answers are not failures, weir's own refusals are never reported here. Sources of the ideas: resilience4j's sliding
 * windows and slow-call rate, gobreaker's generations, Envoy's exponential ejection time.
 */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/outcomes.h"
#include "weir/window.h"

enum weir_breaker_state {
	WEIR_BREAKER_CLOSED = 0,
	WEIR_BREAKER_OPEN = 1,
	WEIR_BREAKER_HALF_OPEN = 2,
	WEIR_BREAKER_FORCED_OPEN = 3, /* by an operator, until closed or set to auto */
};

enum weir_breaker_mode {
	WEIR_BREAKER_OPENS = 0, /* all or nothing */
	WEIR_BREAKER_SHEDS = 1, /* a share: weir/shed.h; but for an operator it never opens */
};

/* Part of a compiled rule (ABI). A zero threshold switches that cause off; all zero: the breaker is off. */
struct weir_breaker_params {
	uint32_t failures;                  /* consecutive failures that open it; more where calls often failed before them */
	uint32_t failure_rate_permille;     /* of the calls in the window */
	uint32_t slow_rate_permille;        /* of the calls in the window */
	uint32_t min_calls;                 /* the rates say nothing below this number */
	uint32_t success_threshold;         /* probes that must succeed; 0 reads as 1 */
	uint32_t open_time_factor_permille; /* growth of the open time from trip to trip; below 1000 reads as 1000 */
	uint32_t jitter_permille;           /* the open time is spread by +- this share */
	uint16_t window_calls;              /* the window is so many calls; 0: as long as window_ns */
	uint16_t mode;                      /* enum weir_breaker_mode */
	uint64_t slow_call_ns;              /* a call that takes longer is slow */
	uint64_t window_ns;                 /* length of the rolling window; by calls: of what is shown, and what is usual */
	uint64_t open_time_ns;              /* the first open time */
	uint64_t open_time_max_ns;
	uint64_t probe_lease_ns; /* how long one probe may take before the next may go */
	uint64_t ramp_ns;        /* length of the ramp after closing; 0 = none */
};
_Static_assert(sizeof(struct weir_breaker_params) == 80, "ABI");

struct weir_breaker {
	_Atomic uint64_t word;
	_Atomic uint64_t
		streak; /* generation:16 | ms of the first:32 | consecutive failures (closed), probe successes (half-open):16 */
	_Atomic uint64_t opened_total;
	uint64_t pad;
};
_Static_assert(sizeof(struct weir_breaker) == 32, "ABI");

/* What a request carries from admission to result. To be carried whole and compared by weir_breaker_valid alone. */
struct weir_breaker_ticket {
	uint32_t generation; /* low half: of the breaker; high half, of a probe: which of the probes of this half-open state */
	uint32_t probe;      /* 1 when this request is the probe */
};

enum weir_breaker_answer { WEIR_BREAKER_PASS, WEIR_BREAKER_PROBE, WEIR_BREAKER_REFUSE };

/* What a result did to the state, for the event ring. */
enum weir_breaker_change {
	WEIR_BREAKER_SAME,
	WEIR_BREAKER_OPENED,          /* on failures in a row */
	WEIR_BREAKER_OPENED_ON_SHARE, /* on the share of failed calls */
	WEIR_BREAKER_OPENED_ON_SLOW,  /* on the share of slow calls */
	WEIR_BREAKER_REOPENED,
	WEIR_BREAKER_RECLOSED,
};

/* A result. */
struct weir_breaker_call {
	bool failed;
	bool slow;          /* it took longer than slow_call_ns */
	bool beside_life;   /* it failed while others are answered well: lengthens the run, and opens nothing */
	uint32_t least_run; /* a run of failures says nothing below this length; 0: as configured */
	bool unawaited;     /* nobody waits for the end of the outage any more: a probe that fails takes nobody's place */
	uint64_t sent_ns;   /* a run says nothing until one of it was sent when its first was known; 0: it does */
};

struct weir_breaker_view {
	enum weir_breaker_state state;
	uint32_t generation;
	uint32_t trips;    /* openings, and probes lost to time, without a recovery in between */
	uint32_t streak;   /* consecutive failures (closed) or probe successes (half-open) */
	uint64_t until_ns; /* open: next probe; half-open: end of the probe's lease (0 = none in flight); closed: end of the ramp
			    */
};

/* Asks to send. PASS and PROBE fill the ticket. REFUSE sets *until_ns to when the next probe may go (WEIR_NEVER when forced
 * open). May change open to half-open. Lock-free. */
enum weir_breaker_answer weir_breaker_try(struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns,
					  struct weir_breaker_ticket *ticket, uint64_t *until_ns);

/* Like weir_breaker_try, but changes nothing: what would a request be told now? */
enum weir_breaker_answer weir_breaker_peek(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns,
					   uint64_t *until_ns);

/* Brings an end that is further ahead than any end can be (damage, an older policy) into its bounds. For who was told to wait for
 * it: read alone, it would be as far ahead for ever. */
void weir_breaker_cut(struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns);

/* Whether a request that was let pass while it waited elsewhere (for its unit) still may: true when the ticket's generation is in
 * force. */
bool weir_breaker_valid(const struct weir_breaker *b, struct weir_breaker_ticket ticket);

/* Reports a result. `window` already contains it (weir_window_add); it is added to `outcomes` here, where the window is by calls
 * (else they may be NULL). Drops it when the ticket's generation has passed. Looks into the window only for a failed or slow
 * call. */
enum weir_breaker_change weir_breaker_settle(struct weir_breaker *b, const struct weir_breaker_params *p,
					     const struct weir_window *window, struct weir_outcomes *outcomes,
					     struct weir_breaker_ticket ticket, const struct weir_breaker_call *call,
					     uint64_t now_ns);

/* The ticket's request was cancelled, ignored or its owner died: if it was the probe, the next request may probe at once. */
void weir_breaker_forgo(struct weir_breaker *b, struct weir_breaker_ticket ticket);

/* How many requests may be in flight now because of the ramp: doubles eight times over ramp_ns; UINT32_MAX outside a ramp. */
uint32_t weir_breaker_ramp(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns);

/* An operator's word. FORCED_OPEN or OPEN: open until told otherwise. CLOSED: close now, without a ramp, and forget the trips.
 * HALF_OPEN stands for auto: a forced-open breaker becomes closed, any other stays as it is. */
void weir_breaker_force(struct weir_breaker *b, enum weir_breaker_state state, uint64_t now_ns);

struct weir_breaker_view weir_breaker_view(const struct weir_breaker *b, const struct weir_breaker_params *p, uint64_t now_ns);

#endif
