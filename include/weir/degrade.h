/* SPDX-License-Identifier: MIT */
/*
 * What is given up first as a host gets worse: requests of the class low, then those of normal; high goes on whatever happens.
 *
 *   normal --(a threshold is crossed)--> reduced: low is refused
 *   reduced --(still crossed a step later)--> minimal: normal is refused as well
 *   and back, where all is calm: the class is let in again little by little, and the state is left when all of it is in and
 *   nothing has come of it for a step
 *
 * To refuse a class takes away the very sign for which it is refused, so nobody can see from outside whether it may come back:
 * the share that is let in is the trial. It is cut to nothing when a threshold is crossed again, and grows half as fast the next
 * time. So a host that is too weak for a class for minutes is asked with a part of it, and the state stays what it is.
 *
 * The state is one word, changed by compare-and-swap by whoever comes by 250 ms after the last look: there is no thread, and who
 * dies leaves the word as it was or as it is to be. Pure: the time is passed in. Values read from the segment are hostile: they
 * are clamped where they are used. Zeroed memory is normal.
 */
#ifndef WEIR_DEGRADE_H
#define WEIR_DEGRADE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/cause.h"

enum weir_degrade_state {
	WEIR_DEGRADE_NORMAL = 0,
	WEIR_DEGRADE_REDUCED = 1, /* low is given up */
	WEIR_DEGRADE_MINIMAL = 2, /* and normal */
	WEIR_DEGRADE_STATES
};

/* What a rule asks for of this header and of weir/shed.h: bits. */
enum weir_degrade_watch {
	WEIR_DEGRADE_WATCHES = 1, /* a threshold is given */
	WEIR_DEGRADE_SHEDS = 2,   /* breaker.mode = "shed" */
};

/* Part of a compiled rule (ABI). A threshold of 0 is none. */
struct weir_degrade_params {
	uint32_t watch;          /* enum weir_degrade_watch; 0: nothing of this, and nothing else here is looked at */
	uint32_t queue;          /* so many wait */
	uint32_t error_permille; /* share of failed calls in the window */
	uint32_t quota_permille; /* less than this share of a quota is left; of half of it: minimal */
	uint64_t latency_ns;     /* more than a twentieth of the calls in the window took longer */
	uint64_t step_ns;        /* so long what was given up has to help before more is; 0 reads as 5 s */
	uint64_t recovery_ns;    /* so long a class takes to be let in again; 0 reads as 20 s */
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct weir_degrade_params) == 64, "ABI");

#define WEIR_DEGRADE_STEP_NS (UINT64_C(5) * 1000000000) /* of a rule that says no step */

#define WEIR_DEGRADE_SLOTS 5

/* Part of an entry (ABI). */
struct weir_degrade {
	_Atomic uint64_t word;      /* since_ms:40 | cause:6 | relapses:3 | state:2 | level:11 (from high to low) */
	_Atomic uint64_t looked_ms; /* the last look */
	_Atomic uint32_t turn[2];   /* of normal and of low: requests that came while a part of the class was refused */
	_Atomic uint64_t told;      /* what a server said is left of its quota: until_ms:40 | known:1 | share, per mille:10 */
	_Atomic uint64_t shed;      /* weir/shed.h: since_ms:40 | sheds:1 | share, per mille:10 */
	_Atomic uint64_t shed_turn; /* requests that came while a share was refused */
	_Atomic uint64_t calls[WEIR_DEGRADE_SLOTS];   /* epoch:22 | calls:14 | failures:14 | slow:14 */
	_Atomic uint64_t refused[WEIR_DEGRADE_SLOTS]; /* the same, where `calls` counts what shedding refused */
};
_Static_assert(sizeof(struct weir_degrade) == 128, "ABI");

/* What the host looks like from outside the window. */
struct weir_degrade_signs {
	uint32_t waiting;
	uint32_t left_permille; /* of the quota of which least is left; 1000 and above: all, or not known */
};

struct weir_degrade_change {
	enum weir_degrade_state from, to; /* the same: nothing to tell */
	enum weir_cause cause;            /* QUEUE_LONG, LATENCY, FAILURE_RATE, QUOTA_LOW; RECOVERY on the way back */
	bool stricter;                    /* more is refused than before: who waits should look again */
};

/* Counts a call. window_ns 0 reads as WEIR_WINDOW_DEFAULT_NS. */
void weir_degrade_note(struct weir_degrade *d, const struct weir_degrade_params *p, uint64_t window_ns, bool failed,
		       uint64_t latency_ns, uint64_t now_ns);

/* The server said that this share is left until then of what it grants. */
void weir_degrade_tell(struct weir_degrade *d, uint32_t left_permille, uint64_t until_ns, uint64_t now_ns);

/* The share that a server said is left and that still holds; 1000 where none does. */
uint32_t weir_degrade_told(const struct weir_degrade *d, uint64_t now_ns);

/* Whether a look is due; true to one of those who ask at once. *passed_ms: since the last. */
bool weir_degrade_due(struct weir_degrade *d, uint64_t now_ns, uint64_t *passed_ms);

/* The look: goes from state to state. */
struct weir_degrade_change weir_degrade_look(struct weir_degrade *d, const struct weir_degrade_params *p, uint64_t window_ns,
					     const struct weir_degrade_signs *signs, uint64_t passed_ms, uint64_t now_ns);

/* Whether a request of this class (enum weir_class) that comes now is refused. Of a part of a class every so manieth is. */
bool weir_degrade_refuses(struct weir_degrade *d, unsigned class);

/* Whether all of the class are: those who wait, too. */
bool weir_degrade_refuses_all(const struct weir_degrade *d, unsigned class);

struct weir_degrade_view {
	enum weir_degrade_state state;
	enum weir_cause cause; /* of what made it worse last; NONE in normal */
	uint32_t low, normal;  /* share of each class that is refused, per mille */
	uint64_t since_ns;     /* the last step */
};
struct weir_degrade_view weir_degrade_view(const struct weir_degrade *d);

/* Back to normal, and nothing known. */
void weir_degrade_clear(struct weir_degrade *d);

/* "normal", "reduced", "minimal". */
const char *weir_degrade_name(uint32_t state);

#endif
