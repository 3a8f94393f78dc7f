/* SPDX-License-Identifier: MIT */
/*
 * What a host's refusals have been found to depend on, and what is being tried: what weir/refusal.h holds, together with what the
 * event ring still tells of it, as a short list. Every export shows the same one.
 */
#ifndef WEIR_STATS_FINDING_H
#define WEIR_STATS_FINDING_H

#include <stddef.h>
#include <stdint.h>

#include "weir/cause.h"
#include "weir/refusal.h"

/* One thing that was found out. */
struct weir_finding {
	uint32_t status;       /* of the answers that it is about: a bare status; 0: throttled answers, whatever their status */
	enum weir_cause cause; /* WEIR_CAUSE_DEPENDS_ON_PACE, _CROWD, _CHANCE */
	uint32_t permille;     /* throttled answers by chance: their share of all answers */
	uint32_t permits;      /* by the crowd: so many requests at a time are answered */
	uint64_t ago_ns;       /* when; WEIR_NEVER: not known (any more) */
};
#define WEIR_FINDINGS 3

/* When the ring tells that each was found, CLOCK_MONOTONIC; 0: not known. Zero it before the walk. */
struct weir_finding_trace {
	uint64_t bare_ns, chance_ns, crowd_ns;
	uint32_t status; /* of bare_ns */
};
struct weir_event;
/* Takes in an event of this host, oldest first; those of other kinds change nothing. */
void weir_finding_note(struct weir_finding_trace *trace, const struct weir_event *e);

/* Fills `out` and returns how many there are. */
size_t weir_findings_of(const struct weir_refusal_view *view, const struct weir_finding_trace *trace, uint64_t now_ns,
			struct weir_finding out[WEIR_FINDINGS]);

/* "pace", "crowd", "chance" */
const char *weir_finding_on(enum weir_cause cause);
/* What a trial asks: "pace" (does a bare status depend on it?), "chance" (do throttled answers come by chance?), "crowd", "ban";
 * NULL for WEIR_TRIAL_NONE. */
const char *weir_trial_name(enum weir_refusal_trial trial);

/* For people, a sentence without its full stop. */
#define WEIR_FINDING_TEXT 192
const char *weir_finding_text(const struct weir_finding *f, char out[WEIR_FINDING_TEXT]);
const char *weir_trial_text(const struct weir_refusal_view *view, char out[WEIR_FINDING_TEXT]);

#endif
