/* SPDX-License-Identifier: MIT */
/*
 * What of an allowance has been used, in words of shared memory: a meter in a host's entry, or an account in the ledger, which is
 * a meter with what it takes to outlive the machine.
 *
 * A calendar window is one word, its end and how many have gone: one compare-and-swap takes one, and nobody who dies leaves it in
 * between. While the window in the word has not ended it is the window, whatever the clock says: one that has been counted in is
 * never begun anew by a clock that is set back, nor one cut short by new rules of the zone.
 *
 * A rolling window is counted in 20 parts of its length; what counts are the part under way and the 20 before it, so that no
 * window of the length, wherever it begins, sees more than the limit. The price: what has gone counts for up to 5 % longer.
 *
 * Pure: no clock, no I/O; what must be on the disk before a use is said (WEIR_ACCOUNT_UNMARKED). Words may be hostile. Zeroed
 * memory is a meter that nothing was counted by.
 */
#ifndef WEIR_ACCOUNT_H
#define WEIR_ACCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/allowance.h"

#define WEIR_ROLLING_PARTS 20U
#define WEIR_ACCOUNT_PARTS (WEIR_ROLLING_PARTS + 2)

struct weir_meter {
	_Atomic uint64_t key;     /* whose: of entry and allowance; 0: nobody's */
	_Atomic uint64_t word;    /* end of the window in minutes since 1970:32 | used:32, UINT32_MAX: the count was lost */
	_Atomic uint64_t next_ms; /* `spread`: when the next may go, since 1970 */
	_Atomic uint64_t told;    /* until when (minute) it was told that little is left:32 | that nothing is:32 */
};
_Static_assert(sizeof(struct weir_meter) == 32, "ABI");

struct weir_account {
	struct weir_meter meter;
	_Atomic uint64_t mark;   /* as meter.word, or a part: never less than what has gone, perhaps not on the disk yet */
	_Atomic uint64_t kept;   /* the mark that is known to be on the disk; nothing goes beyond it */
	_Atomic uint64_t boot;   /* of the boot that counted last; another one takes the mark for what has gone */
	_Atomic uint64_t raised; /* when the mark was, ms since 1970:44 | by how much:20 */
	_Atomic uint64_t used_s; /* last use, seconds since 1970 */
	_Atomic uint64_t part[WEIR_ACCOUNT_PARTS]; /* number of the part since 1970:32 | used:32 */
	uint64_t pad;
};
_Static_assert(sizeof(struct weir_account) == 256, "ABI");

/* meter.word of an account that is being given to somebody else. */
#define WEIR_ACCOUNT_CLEARING UINT64_MAX
/* Of one where whoever was at that did not end it in time: nobody's for ever, or he would come back to one that has been made
 * elsewhere meanwhile. */
#define WEIR_ACCOUNT_ABANDONED (UINT64_MAX - 1)

static inline bool weir_account_is_nobodys(const struct weir_account *a)
{
	return atomic_load_explicit(&a->meter.word, memory_order_seq_cst) >= WEIR_ACCOUNT_ABANDONED;
}

enum weir_account_answer {
	WEIR_ACCOUNT_TAKEN,
	WEIR_ACCOUNT_SPENT,
	WEIR_ACCOUNT_PACED,    /* `spread`, and it is not time yet */
	WEIR_ACCOUNT_UNMARKED, /* weir_account_raise, what it returns to the disk, weir_account_kept, and try again */
	WEIR_ACCOUNT_GONE,     /* it belongs to somebody else by now: look for it again */
};

struct weir_account_view {
	uint64_t used, limit;
	uint64_t ends_ms;  /* when the window ends; rolling: when the first of those that count does no more; 0: nothing counts */
	uint64_t until_ms; /* when the next may go, since 1970; not above now: at once */
	bool spent;
	bool lost; /* the count was lost, and stands for all of it */
};

/* a: the account that the meter is of; NULL: one in an entry, where a rolling window is counted as one that begins with its first
 * request and grants half (so that none of the length sees more than the limit). wall_ms: since 1970. */
void weir_account_look(const struct weir_meter *m, const struct weir_account *a, const struct weir_allowances *rule,
		       unsigned which, uint64_t wall_ms, struct weir_account_view *out);

/* Takes one. forced: also where nothing is left, as it goes anyway. *window: what to give back (never 0). *used: with it. */
enum weir_account_answer weir_account_take(struct weir_meter *m, struct weir_account *a, const struct weir_allowances *rule,
					   unsigned which, uint64_t wall_ms, bool forced, uint32_t *window, uint64_t *used);

/* It has not gone after all. Does nothing when its window is over. */
void weir_account_give(struct weir_meter *m, struct weir_account *a, const struct weir_allowances *rule, unsigned which,
		       uint32_t window);

/* Raises the mark far enough for the next, and by what is used in a second beside. Returns it. */
uint64_t weir_account_raise(struct weir_account *a, const struct weir_allowances *rule, unsigned which, uint64_t wall_ms);

/* The mark is on the disk. */
void weir_account_kept(struct weir_account *a, uint64_t mark);

/* Counted by another boot than `boot` (0: not known): what the disk may not know of is taken for used. */
void weir_account_recover(struct weir_account *a, const struct weir_allowance *one, uint64_t boot);

/* As many have gone in the window now: by the operator's word, or UINT32_MAX: nobody knows, and nothing is left until the next.
 */
void weir_account_set(struct weir_meter *m, struct weir_account *a, const struct weir_allowances *rule, unsigned which,
		      uint32_t used, uint64_t wall_ms);

/* Of an account that nothing has been counted by, what was used in the window of wall_ms is not known: nothing is left of it.
 * Whoever has counted in it meanwhile is not undone. */
void weir_account_lose(struct weir_account *a, const struct weir_allowances *rule, unsigned which, uint64_t wall_ms);

/* The meter of an entry goes on where the account stands (a copy of it) that cannot be counted in any more. */
void weir_account_carry(struct weir_meter *m, const struct weir_account *from, const struct weir_allowances *rule, unsigned which,
			uint64_t wall_ms);

/* Whether this use is the one to tell of: the first of the window that leaves no more than a fifth, or (spent) nothing. */
bool weir_account_tells(struct weir_meter *m, const struct weir_allowance *one, const struct weir_account_view *v, bool spent,
			uint64_t wall_ms);

#endif
