/* SPDX-License-Identifier: MIT */
/* What the adaptive concurrency limit remembers between two updates, and the constants it goes by. docs/control.md */
#ifndef WEIR_LIMIT_CONCURRENCY_STATE_H
#define WEIR_LIMIT_CONCURRENCY_STATE_H

#include "weir/concurrency.h"

/* Words of c->sample. */
enum sample {
	LIMIT,   /* in force, + 1; 0: none */
	CLIP,    /* us; longer latencies count as this much; 0: no clipping */
	CALLS,   /* good answers:24 | sum of the requests in flight that they saw:40 */
	TIME,    /* those of them at the limit:24 | sum of their latencies, us:40 */
	ALLOWED, /* as many as the host takes at a time, learned from its refusals; 0: not known */
	LOST,    /* time-outs and failures */
	/* What the answers of the epoch at hand differ by, in batches: the controller's own, under the entry's lock. */
	BATCH_CALLS, /* CALLS and TIME when the batch began */
	BATCH_TIME,
	BATCHES,
	BATCH_SUM, /* of the batches' means, us */
	BATCH_SQUARES,
	SAMPLES,
};
_Static_assert(SAMPLES <= sizeof(((struct weir_concurrency *)0)->sample) / sizeof(uint64_t), "they fit");

/* CALLS and TIME are sums of pairs, so that a result is two adds. Where the lower one runs over it carries into the upper one,
 * and the difference of two readings takes that back: it is right as long as what was gained between them fits. An epoch lasts a
 * minute at most. In it, 2^24 answers are 280,000 a second; and as the latencies of a minute add up to a minute for each request
 * in flight (Little's law), 2^40 us are those of 18,000. Beyond, one epoch is misjudged. */
#define PAIR_BITS 40
#define PAIR_MASK ((UINT64_C(1) << PAIR_BITS) - 1)

enum phase { FREE = 0, DESCEND = 1, DITHER = 2 };
enum stage { DRAIN = 0, SETTLE = 1, MEASURE = 2 };

/* Good answers per epoch. The latency of an exponential server has a coefficient of variation of 1, so the mean of 200 is good to
 * 7 % and one e of a dither to +-.45; dithering averages over many epochs. */
#define EPOCH_CALLS 200.0
/* While free; fewer, to notice a queue early. */
#define FREE_CALLS 100.0
/* Descending: PRECISION / ln(step)^2, which is the same standard error of e (.3) for small and large steps. */
#define PRECISION 20.0
/* Fewer than this say nothing. */
#define EPOCH_CALLS_MIN 30.0
/* An epoch is over after this many latencies, or a second if that is longer, even if the answers were few. */
#define EPOCH_LATENCIES 60.0
/* Where answers take alike (a server that delays what comes too fast), fewer tell as much: so many batches of so many answers,
 * whose mean is known to this. */
#define BATCHES_MIN     4U
#define BATCH_ANSWERS   5U
#define BATCH_PRECISION .02
#define BATCH_US_MAX    UINT64_C(100000000)

/* Settling takes as many results as twice the limit, which by Little's law is two latencies: then the requests that met the level
 * before are gone but for a few. */
#define SETTLE_TURNS 2.0

/* Fewer in flight than this are left alone. */
#define LEVEL_MIN 3.0
/* A latency (us) that nobody minds, and that the machine's own work hides: no congestion. */
#define WORTH_US 5000.0
/* Latency and concurrency grown by this are a reason to look closer. */
#define REASON 1.5
/* Without a reason, look closer only after this many times as long as a look takes, and twice as many each time that it finds
 * nothing: a look slows the host down by a quarter while it lasts, so k looks cost k/4 of 10 * 2^k. */
#define PATIENCE 10.0

/* After a descent, the next one may follow after this many times as long as a look takes. */
#define RETRY 4.0

/* The first step of a descent, and those after it has been confirmed. */
#define STEP_FIRST 0.75
#define STEP_NEXT  0.5
#define STEP_MIN   0.25
/* An elasticity above this says: queueing only. */
#define STEEP 0.6
/* An elasticity below this says: no queue. */
#define FLAT 0.35
/* The dither's upper level. */
#define DITHER_FACTOR 1.25
/* The elasticity to aim at. At 1 the limit would not know how far above the knee it is; at .85 the knee is 15 % of the way down
 * from the lower to the upper level. */
#define TARGET   0.85
#define GAIN     0.1
#define GAIN_MAX 0.5
/* Noise does not reach this far from [0, 1]: the server changed between the epochs. */
#define OUTLIER 2.0
/* Latencies count at most this many times the mean of the epoch before: a few outliers must not decide. */
#define CLIP_FACTOR 5.0
/* After a server has become faster, look closer this much later. */
#define LOOK_AGAIN_NS UINT64_C(15000000000)
/* A limit that did not bind for this long is lifted. */
#define UNBOUND_NS UINT64_C(60000000000)

#define NS_PER_US   1000.0
#define LATENCY_MAX 1e9                   /* us; a quarter of an hour and then some */
#define DUE_MAX_NS  UINT64_C(60000000000) /* no update is further away; what is has been damaged */
#define LEVEL_MAX   1e6
#define WAIT_MAX_NS UINT64_C(3600000000000) /* nor a look more than an hour */
#define BACKOFF_MAX (1U << 16)

/* The published state. All fields are sanitized when read: the memory may hold anything. */
struct state {
	uint64_t phase;
	uint64_t high; /* dither: this epoch is at the upper level */
	uint64_t stage;
	uint64_t since_ns; /* begin of the stage */
	uint64_t calls;    /* the counters then */
	uint64_t time;
	uint64_t looked; /* free: it has been looked at once, at its beginning */
	uint64_t lost;
	double limit;     /* learned; meaning only outside of free */
	double before_us; /* mean latency and level of the epoch before; 0: none */
	double before_level;
	double ref_us; /* what the present state of affairs was judged by */
	double ref_level;
	double restore;    /* descend: the limit to return to when it was a false alarm, 0: none */
	uint64_t steps;    /* descend: steps confirmed; dither: flat epochs in a row */
	uint64_t look_ns;  /* no look without a reason before this */
	uint64_t alarm_ns; /* and none with a reason before this */
	uint64_t backoff;  /* false alarms in a row, as a power of two */
	uint64_t bound_ns; /* when the limit last bound */
	double gain;
	double worst_us; /* free: latency and level at the last false alarm: half as much again is a new reason at once */
	double worst_level;
	uint64_t spare[2];
};
_Static_assert(sizeof(struct state) == WEIR_CONCURRENCY_WORDS * sizeof(uint64_t), "fills the published block");

#endif
