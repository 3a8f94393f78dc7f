/* SPDX-License-Identifier: MIT */
/* The units of the buckets that a request takes, one in each, and goes on when the last is ready. */
#ifndef WEIR_GATE_UNITS_H
#define WEIR_GATE_UNITS_H

#include "scope.h"

/* The time from which every unit may go; takes units in buckets that have none yet (a bucket may also get its limit while the
 * request waits for something else), unless that time is later than the request will wait: then it takes none, and returns the
 * time all the same. Units that have been made void since are exchanged for new ones, in the order of the old. r->wait_slot: the
 * entry that binds. */
uint64_t request_units_ready(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			     uint64_t now_ns);

/* Units go stale: a request that goes much later than they allowed (no permit was free, another bucket or a hold kept it, its
 * process was stopped) takes new ones, or a crowd of late requests would exceed a rate together. Returns when the new ones are
 * ready. */
uint64_t request_renew_stale_units(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
				   uint64_t now_ns);

/* Takes the units of buckets that several classes use, where its turn has come: last, when everything else is had. False when
 * another was faster; *ready_ns is then when its turn comes. */
bool request_take_turns(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns,
			uint64_t *ready_ns);

/* It goes: what places it has left, in buckets that have lost their limit meanwhile, end. */
void request_leave_turns(const struct weir_gate *g, struct weir_request *r);

/* A request goes that nobody may make wait: takes the units that it has not got, ready or not. */
void request_take_all_units(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			    uint64_t now_ns);

/* A request goes that has slept for its unit: how late it woke is lent to those that follow (weir/bucket.h, lateness). */
void request_note_late(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns);

/* Whether it is to keep its distance from others when it leaves. */
static inline bool request_is_spaced(const struct weir_request *r)
{
	return !r->ahead && (r->has_units || (r->paid && r->kept));
}

/* When a request whose units are ready may leave, and it leaves now: false when another has left meanwhile (then nothing is done,
 * but for what a race between several rates may leave: those that follow are moved by one interval). */
uint64_t request_departs_ns(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns);
bool request_depart(const struct weir_request *r, const struct scope scope[WEIR_SCOPES], uint64_t now_ns);

/* The units of a request are ready, but others have left, so that it has to wait until departs_ns. With several limits it keeps
 * its units meanwhile, as departures hold the pace (the wider one would be lost each time that the narrower makes it wait). Who
 * is outrun again and again takes a new one where it was, behind all who wait there: while the wider limit stood still as many
 * may have kept theirs as no pace lets leave together, and these would go on taking units of the wider one that they cannot use.
 * Unless that is too late for it: then it goes on trying. Returns when it may leave. */
uint64_t request_outrun(const struct weir_gate *g, struct weir_request *r, const struct scope scope[WEIR_SCOPES],
			uint64_t departs_ns, uint64_t now_ns);

/* The request goes, whatever its units say (a dry run): they are used all the same. */
void request_spend_units(const struct weir_gate *g, struct weir_request *r, uint64_t now_ns);

/* Gives back what can be given back of its units. */
void request_give_units(const struct weir_gate *g, struct weir_request *r);

#endif
