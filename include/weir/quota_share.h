/* SPDX-License-Identifier: MIT */
/*
 * Whose quota: what a host's servers say is left applies to those who share it, and to nobody else.
 *
 * A quota belongs to a credential and a resource. The resource is what the server calls it, else what it says of its limits;
 * which one a request will use is learned from the answers, by the beginning of the path. All of it is kept as salted digests of
 * 32 bits: no path, no name and no credential can be read from it.
 *
 * A request takes one of what is left when it goes; the answer says what is left then. The lower of the two holds, because those
 * in flight are not in the server's number yet; the server's alone when nobody else is in flight. Nothing left by the server's
 * word: nobody who shares it goes before the reset.
 *
 * What has not been seen before goes and is told: a credential that is new, and a path beginning that is new, unless answers have
 * shown that unlike paths share the quota. Who shows neither (a connection) shares with everybody.
 *
 * A table of eight quotas and eight path beginnings, in single words; the oldest give way. Zeroed memory is an empty one. Every
 * word may be hostile: it can make requests wait until the hold's bound, and no more.
 */
#ifndef WEIR_QUOTA_SHARE_H
#define WEIR_QUOTA_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIR_SHARES 8
/* A window that ends further ahead was not written by us: servers' are a month at most. */
#define WEIR_SHARE_WINDOW_MAX_NS (UINT64_C(32) * 86400 * 1000000000)
#define WEIR_SHARE_PATHS         8

struct weir_quota_share {
	struct {
		_Atomic uint64_t until_ns; /* CLOCK_MONOTONIC end of its window; 0: not in use */
		_Atomic uint64_t word;     /* who:32 | limit:15 | left:16 | spent:1, high to low */
	} quota[WEIR_SHARES];
	_Atomic uint64_t path[WEIR_SHARE_PATHS]; /* path beginning:32 | resource:32; 0: not in use */
	/* What is asked for, beside what is left: how many answers came since the window was first heard of. */
	_Atomic uint64_t asked_from;    /* accepted then */
	_Atomic uint64_t asked_before;  /* in the window before, when it was the one just before */
	_Atomic uint64_t asked_from_ns; /* when that was */
	_Atomic uint64_t asked_end_ns;  /* when the window ends */
	_Atomic uint64_t spare_ns;      /* the pace in force spares a quota that is not spent, until then; 0: it does not */
	uint64_t pad[3];
};
_Static_assert(sizeof(struct weir_quota_share) == 256, "ABI: four cache lines");

/* Who asks: digests, salted with the segment's salt. 0: not seen. */
struct weir_asker {
	uint32_t credential, path;
};

/* SipHash-2-4 (Aumasson, Bernstein, 2012) of two words under the salt, cut to 32 bits and never 0. */
uint32_t weir_quota_share_digest(const uint64_t salt[2], uint64_t a, uint64_t b);

/* What an answer said of the quota of this resource (a salted digest). */
struct weir_share_told {
	uint32_t resource;
	uint64_t limit, left;
	uint64_t until_ns; /* when its window ends */
	bool named;        /* the server named the resource; else unlike paths may turn out to use quotas that look alike */
	bool alone;        /* no other request to this host is in flight */
	bool refused;      /* the answer was a refusal: nobody goes before its time is over */
};

/* Takes an answer in. Does nothing when `who` was not seen. */
void weir_quota_share_tell(struct weir_quota_share *q, struct weir_asker who, const struct weir_share_told *told,
			   uint64_t now_ns);

/* Until when nothing is left for this asker by the server's word: <= now_ns when there is, or when nobody knows. */
uint64_t weir_quota_share_spent_until(const struct weir_quota_share *q, struct weir_asker who, uint64_t now_ns);

/* Takes one of what is left. False when all of it is promised to requests in flight: their answers tell. `idle`: none is in
 * flight, so one goes to ask. True as well when nothing is known. */
bool weir_quota_share_take(struct weir_quota_share *q, struct weir_asker who, bool idle, uint64_t now_ns);

/* How many quotas are known whose window is not over. */
uint32_t weir_quota_share_count(const struct weir_quota_share *q, uint64_t now_ns);

/* Whether what is asked for would outrun what is left: `left` requests, left_ns until the window's end, `accepted` answers since
 * the beginning of all times, `waiting` requests beside. Remembers what it needs. */
bool weir_quota_share_outrun(struct weir_quota_share *q, uint64_t left, uint64_t left_ns, uint64_t window_ns, uint64_t accepted,
			     uint64_t waiting, uint64_t now_ns);

/* Forgets everything. */
void weir_quota_share_clear(struct weir_quota_share *q);

#endif
