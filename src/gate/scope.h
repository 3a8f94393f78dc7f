/* SPDX-License-Identifier: MIT */
/* The entries that a request passes, and the rules in force for them. */
#ifndef WEIR_GATE_SCOPE_H
#define WEIR_GATE_SCOPE_H

#include "weir/gate.h"

/* Whose: the host's (or a narrowed rule's that stands apart), the run's, everybody's, a narrowed rule's beside the host's, the
 * client's.
 */
enum { SCOPE_HOST = 0, SCOPE_RUN = 1, SCOPE_TOTAL = 2, SCOPE_NARROW = 3, SCOPE_CLIENT = 4 };

#define TOTAL_KEY "_total"

/* What a salted digest is of. */
enum { QUOTA_CREDENTIAL = 1, QUOTA_PATH = 2, QUOTA_RESOURCE = 3 };

/* An entry with the rule that holds for it now. Pointers go into the segment: for use within one call. */
struct scope {
	uint32_t slot; /* WEIR_NONE: this scope does not apply, and the rest is not set */
	struct weir_entry *entry;
	uint64_t word; /* of the index, as long as the entry is that of the request; 0: the overflow, or gone by now */
	/* Also where a scope has no entry that should have one (of a client: the rule that says its share). NULL: there is no
	 * such limit. Of a run it says nothing. */
	const struct weir_rule *rule;
	uint64_t generation; /* of the policy that the rule belongs to */
	uint64_t rule_word;  /* to be kept in the entry, so that the rule need not be looked for again; 0: nothing */
};

/* Only the scopes below this number apply: to most requests the host's alone. */
static inline unsigned scopes_end(const struct scope scope[WEIR_SCOPES])
{
	uint32_t all = scope[SCOPE_RUN].slot & scope[SCOPE_TOTAL].slot & scope[SCOPE_NARROW].slot & scope[SCOPE_CLIENT].slot;

	return all == WEIR_NONE ? SCOPE_HOST + 1 : WEIR_SCOPES;
}

/* The slot's entry with its rule; `which` says what kind of scope it is. False when the slot is out of range. */
bool scope_of(const struct weir_gate *g, unsigned which, uint32_t slot, struct scope *out);

/* Whether it stands for requests that have no entry: what is in it is nobody's, and stops nobody. */
bool scope_is_overflow(const struct weir_gate *g, const struct scope *s);

/* For a request that gets no entries: the host's scope, with its rule, becomes the overflow; the others are left out. What they
 * limit is then kept in spares. */
void scopes_overflow(const struct weir_gate *g, struct scope scope[WEIR_SCOPES]);

/* Whether the entries that were just found still belong to their keys: they go on doing so while the caller has a lease of them,
 * and for as long as an entry must be idle before it is evicted when they have been marked as used. Word 0: it was gone before
 * its word had been read, and its slot is free, or somebody else's in a moment. leased: the caller has just claimed a lease. */
bool scopes_are_still(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], bool leased);

/* All scopes of a request. False when the host's cannot be had. */
bool scopes_of(const struct weir_gate *g, const struct weir_request *r, struct scope out[WEIR_SCOPES]);

/* Finds or makes the entries of a request for host_port and their rules; asks: what was seen of it, NULL: nothing. False when it
 * is exempt. */
bool scope_resolve(const struct weir_gate *g, const char *host_port, const struct weir_asks *asks, uint64_t now_ns,
		   struct scope out[WEIR_SCOPES]);

/* What the host's rule, in out[SCOPE_HOST], says of narrower limits: replaces that scope, or adds to it (narrow.c). */
bool scope_narrow(const struct weir_gate *g, const struct weir_policy_view *view, const char *host_port,
		  const struct weir_asks *asks, uint64_t now_ns, struct scope out[WEIR_SCOPES]);

/* A run's or a client's share: what limits it stands in its entry's override. */
void scope_share(struct scope *s);

/* Whether a rule has anything narrower to say. */
static inline bool scope_is_narrowed(const struct weir_rule *r)
{
	return (r->narrow.count | r->narrow.client_rate | r->narrow.client_concurrency) != 0;
}

/* Writes into the entries of a request what it brings: which rule it found, a run's limits. Only once it has a lease, and the
 * entries are known to be its own still: what is written between might be a stranger's limit for ever. */
void scopes_settle_in(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES]);

/* Whether the entry of a request still is the one that it began with: it is for as long as the request holds a lease. */
bool scope_is_still(const struct weir_gate *g, const struct weir_request *r, unsigned which);

/* What holds for the bucket that the controller paces: the override (made up in *own), else the rule's. */
const struct weir_rate_params *scope_rate_params(const struct scope *s, uint64_t now_ns, struct weir_rate_params *own);

/* Whether the rule was written for some hosts, and is not just the defaults. */
bool scope_rule_names_host(const struct scope *s);

/* Permits that may be out, the ramp after a closing breaker included (*ramp tells whether it is what binds). UINT32_MAX = no
 * limit. */
uint32_t scope_permits(const struct scope *s, unsigned which, uint64_t now_ns, bool *ramp);

/* Appends the name of a narrowed rule to the key of its host. */
void scope_narrow_key(const struct weir_rule *narrowed, char key[WEIR_KEY_MAX]);

/* The key of this process's client's share of an entry. */
void scope_client_key(const struct weir_gate *g, const char *key, char out[WEIR_KEY_MAX]);

/* What stands in an entry's `rule`, so that it need not be looked for again. */
static inline uint64_t scope_rule_word(uint64_t generation, uint32_t index)
{
	return (generation & UINT32_MAX) << 32 | (index + 1);
}

/* The key of a run's share of an entry. */
void scope_run_key(const struct weir_run *run, const char *key, char out[WEIR_KEY_MAX]);

/* Brings the buckets' paces in line with policy and override when either has changed. Cheap when not. */
void scope_apply(const struct weir_gate *g, const struct scope *s, uint64_t now_ns);

/* Freezes the controlled bucket until the hold ends, for the holder of the update lock. */
void scope_freeze(const struct scope *s, uint64_t now_ns);

/* Whether the controlled bucket's pace is that of a quota of which something is left, so that it is no reason to refuse. */
bool scope_paced_to_spare(const struct scope *s, uint64_t now_ns);

/* How long bucket number `which` of the entry stands still beyond what any hold, quota or pause can have asked for: damage. 0 =
 * it does not. */
uint64_t scope_frozen_in_vain_ns(const struct scope *s, unsigned which, uint64_t now_ns);

/* Lets such buckets go again. Whether there were any. */
bool scopes_thaw(const struct weir_gate *g, const struct scope scope[WEIR_SCOPES], uint64_t now_ns);

/* Writes an event about the entry. */
void scope_event(const struct weir_gate *g, const struct scope *s, enum weir_event_kind kind, enum weir_cause cause,
		 uint64_t before, uint64_t after, uint64_t until_ns, uint64_t now_ns);

#endif
