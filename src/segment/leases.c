/* SPDX-License-Identifier: MIT */
/* Leases: claimed with one compare-and-swap of the lease's word, then changed and freed by their owner. */
#include <string.h>

#include "lease_scan.h"
#include "lease_word.h"
#include "weir/segment.h"

#define SPARE_COUNTS 16  /* while others with higher leases decide; a count takes microseconds */
#define READS        4   /* of a lease that changes while it is read */
#define FILL_READS   200 /* of a lease that is being filled in */
#define RAISES       64  /* of the high-water mark, against others who raise it */

/* The processes that an export can tell apart; with more it says this number. */
#define PROCESSES_MAX 8192U

uint32_t lease_scan_end(const struct weir_segment *s)
{
	/* In one order with the marks of who evicts an entry: see lease_scan_any. */
	uint64_t top = atomic_load_explicit(&s->header->lease_top, memory_order_seq_cst);

	return top < s->leases ? (uint32_t)top : s->leases;
}

bool lease_scan_read(const struct weir_segment *s, uint32_t lease, struct lease_copy *out)
{
	const struct weir_lease *l = &s->lease[lease];

	for (int i = 0; i < READS; i++) {
		out->word = atomic_load_explicit(&l->word, memory_order_acquire);
		for (unsigned k = 0; k < WEIR_SCOPES; k++)
			out->entry[k] = atomic_load_explicit(weir_lease_entry(l, k), memory_order_acquire);
		if (atomic_load_explicit(&l->word, memory_order_relaxed) == out->word)
			return true;
	}
	return false;
}

/* The lease's word once its fields are filled in, which takes a moment; CLAIMED when its owner was stopped or died in it. */
static uint64_t filled_in(const struct weir_lease *l)
{
	uint64_t w = atomic_load_explicit(&l->word, memory_order_seq_cst);

	for (int i = 0; i < FILL_READS && lease_word_state(w) == WEIR_LEASE_CLAIMED; i++)
		w = atomic_load_explicit(&l->word, memory_order_seq_cst);
	return w;
}

/* Dekker with who claims a lease: his claim, then the index; the mark in the index, then this. He need not have named his entries
 * to be seen: until he has, the lease may be anybody's. Who died in it would keep every entry, where nobody reaps; and who was
 * stopped in it for seconds has yet to look at the index. */
bool lease_scan_any(const struct weir_segment *s, uint32_t slot, uint64_t now_ns)
{
	uint32_t end = lease_scan_end(s);

	for (uint32_t i = 0; i < end; i++) {
		const struct weir_lease *l = &s->lease[i];
		uint64_t w = filled_in(l);

		if (lease_word_state(w) == WEIR_LEASE_FREE)
			continue;
		if (lease_word_state(w) == WEIR_LEASE_CLAIMED) {
			if (lease_word_abandoned(w, now_ns))
				continue;
			return true;
		}
		/* No second look at the word: an entry that is wrongly thought in use is merely kept. */
		for (unsigned k = 0; k < WEIR_SCOPES; k++)
			if (atomic_load_explicit(weir_lease_entry(l, k), memory_order_relaxed) == slot)
				return true;
	}
	return false;
}

/* Lets the scans see lease `number`. Before it is claimed: a process may die in between. */
static bool raise_top(const struct weir_segment *s, uint32_t number)
{
	_Atomic uint64_t *top = &s->header->lease_top;
	uint64_t seen = atomic_load_explicit(top, memory_order_relaxed);

	for (int i = 0; i < RAISES; i++)
		if (seen > number || atomic_compare_exchange_weak(top, &seen, (uint64_t)number + 1))
			return true;
	return false;
}

/* Tries to claim lease `number`: CLAIMED while the fields are filled in, then WAITING. */
static bool claim(const struct weir_segment *s, uint32_t number, const struct weir_owner *o, uint32_t thread,
		  const uint32_t entry[WEIR_SCOPES], uint64_t deadline_ns, uint64_t now_ns, uint32_t *tag)
{
	struct weir_lease *l = &s->lease[number];
	uint64_t w = atomic_load_explicit(&l->word, memory_order_relaxed), claimed;

	if (lease_word_state(w) != WEIR_LEASE_FREE || !raise_top(s, number))
		return false;
	*tag = (lease_word_tag(w) + 1) & LEASE_TAG_MASK;
	claimed = lease_word(o->pid, *tag, lease_second(now_ns), WEIR_LEASE_CLAIMED);
	/* In one order with the marks of who evicts an entry: see lease_scan_any. */
	if (!atomic_compare_exchange_strong_explicit(&l->word, &w, claimed, memory_order_seq_cst, memory_order_relaxed))
		return false;
	/* Release stores, so that who sees one of them sees the word as claimed. */
	atomic_store_explicit(&l->start, o->start, memory_order_release);
	atomic_store_explicit(&l->deadline_ns, deadline_ns, memory_order_release);
	atomic_store_explicit(&l->thread, thread, memory_order_release);
	atomic_store_explicit(&l->pid_namespace, o->pid_namespace, memory_order_release);
	for (unsigned k = 0; k < WEIR_SCOPES_FIRST; k++)
		atomic_store_explicit(&l->entry[k], entry[k], memory_order_release);
	/* In a cache line of their own, and nearly always what they were. */
	for (unsigned k = WEIR_SCOPES_FIRST; k < WEIR_SCOPES; k++) {
		_Atomic uint32_t *at = &l->narrow[k - WEIR_SCOPES_FIRST];

		if (atomic_load_explicit(at, memory_order_relaxed) != entry[k])
			atomic_store_explicit(at, entry[k], memory_order_release);
	}
	atomic_store_explicit(&l->breaker_generation, 0, memory_order_release);
	atomic_store_explicit(&l->breaker_probe, 0, memory_order_release);
	atomic_store_explicit(&l->admitted_s, (uint32_t)(now_ns / UINT64_C(1000000000)), memory_order_release);
	atomic_store_explicit(&l->begun_ns, now_ns, memory_order_release);
	if (atomic_load_explicit(&l->word, memory_order_relaxed) != claimed)
		return false;
	atomic_store_explicit(&l->word, lease_word(o->pid, *tag, 0, WEIR_LEASE_WAITING), memory_order_release);
	return true;
}

uint32_t weir_lease_claim(const struct weir_segment *s, const struct weir_owner *o, uint32_t thread, uint32_t hint,
			  const uint32_t entry[WEIR_SCOPES], uint64_t deadline_ns, uint64_t now_ns, uint32_t *tag)
{
	if (hint < s->leases && claim(s, hint, o, thread, entry, deadline_ns, now_ns, tag))
		return hint;
	/* From the beginning, so that the leases in use stay together and every scan short. */
	for (uint32_t i = 0; i < s->leases; i++)
		if (claim(s, i, o, thread, entry, deadline_ns, now_ns, tag))
			return i;
	atomic_fetch_add_explicit(&s->header->leases_lost, 1, memory_order_relaxed);
	return WEIR_NONE;
}

/*
 * The owner's step from one word to the next: a look and a plain store, where everybody else needs a compare-and-swap. Only the
 * owner writes the word of a living lease; a reaper takes it over when the owner is dead, and then nobody is here, or when the
 * deadline has passed. An owner that is suspended right between look and store for just the moment of its deadline overwrites the
 * reaper's word: the permit is then given back twice, and the audit that the reaper has asked for puts the count right.
 *
 * Replaces the word of a lease that is still the caller's: pid and tag are as in the word that is to follow, or in `mine` where
 * that is nobody's.
 */
static inline bool change(const struct weir_segment *s, uint32_t lease, uint64_t mine, uint64_t to)
{
	struct weir_lease *l;
	uint64_t w;

	if (lease >= s->leases)
		return false;
	l = &s->lease[lease];
	w = atomic_load_explicit(&l->word, memory_order_relaxed);
	if (((w ^ mine) & LEASE_OWNER_MASK) != 0 || lease_word_state(w) == WEIR_LEASE_FREE)
		return false;
	atomic_store_explicit(&l->word, to, memory_order_release);
	return true;
}

bool weir_lease_set(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid, enum weir_lease_state state,
		    unsigned held)
{
	uint64_t to = lease_word(pid, tag, held, state);

	return state != WEIR_LEASE_FREE && state <= WEIR_LEASE_SETTLING && change(s, lease, to, to);
}

bool weir_lease_free(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid)
{
	return change(s, lease, lease_word(pid, tag, 0, WEIR_LEASE_FREE), lease_word(0, tag, 0, WEIR_LEASE_FREE));
}

void weir_lease_mark_spare(const struct weir_segment *s, uint32_t lease, uint32_t tag)
{
	if (lease < s->leases)
		atomic_store_explicit(&s->lease[lease].breaker_generation, tag, memory_order_release);
}

void weir_lease_mark_class(const struct weir_segment *s, uint32_t lease, unsigned class)
{
	if (lease >= s->leases)
		return;
	atomic_store_explicit(&s->lease[lease].queue.class, class, memory_order_relaxed);
	atomic_store_explicit(&s->lease[lease].queue.counted, 0, memory_order_relaxed);
}

bool weir_lease_count(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid, bool waits)
{
	uint64_t w;

	if (lease >= s->leases)
		return false;
	w = atomic_load_explicit(&s->lease[lease].word, memory_order_relaxed);
	if (lease_word_pid(w) != pid || lease_word_tag(w) != (tag & LEASE_TAG_MASK) || lease_word_state(w) == WEIR_LEASE_FREE)
		return false;
	return atomic_exchange_explicit(&s->lease[lease].queue.counted, waits, memory_order_relaxed) != (uint32_t)waits;
}

void weir_lease_waiting(const struct weir_segment *s, uint32_t slot, uint32_t except, uint32_t out[WEIR_CLASSES])
{
	uint32_t end = lease_scan_end(s);

	memset(out, 0, WEIR_CLASSES * sizeof *out);
	for (uint32_t i = 0; i < end; i++) {
		const struct weir_lease *l = &s->lease[i];
		unsigned state = lease_word_state(atomic_load_explicit(&l->word, memory_order_acquire));

		if (i == except || state == WEIR_LEASE_FREE || state == WEIR_LEASE_CLAIMED ||
		    atomic_load_explicit(&l->entry[0], memory_order_relaxed) != slot)
			continue;
		if (state == WEIR_LEASE_WAITING || state == WEIR_LEASE_MOVING ||
		    atomic_load_explicit(&l->queue.counted, memory_order_relaxed) == 1)
			out[atomic_load_explicit(&l->queue.class, memory_order_relaxed) % WEIR_CLASSES]++;
	}
}

/* What the leases of a tag say of one scope. */
struct spare_count {
	uint32_t held;           /* permits in force */
	uint32_t before, behind; /* who is about to take one, in a lease with a lower number than the caller's or a higher */
};

static struct spare_count count_spare(const struct weir_segment *s, uint32_t lease, unsigned scope, uint32_t tag)
{
	struct spare_count c = {0, 0, 0};
	uint32_t end = lease_scan_end(s);

	for (uint32_t i = 0; i < end; i++) {
		const struct weir_lease *l = &s->lease[i];
		uint64_t w = atomic_load_explicit(&l->word, memory_order_acquire);
		unsigned state = lease_word_state(w);
		uint32_t entry, its;

		if (i == lease || (state != WEIR_LEASE_MOVING && state != WEIR_LEASE_IN_FLIGHT && state != WEIR_LEASE_REAPING))
			continue;
		entry = atomic_load_explicit(weir_lease_entry(l, scope), memory_order_relaxed);
		its = scope != 0            ? entry
		      : entry == s->entries ? atomic_load_explicit(&l->breaker_generation, memory_order_relaxed)
					    : WEIR_NONE;
		if (its != tag)
			continue;
		/* A lease that changed hands meanwhile is counted once too often: it is asked again. */
		if (state == WEIR_LEASE_IN_FLIGHT ? (lease_word_held(w) >> scope & 1) != 0 : state == WEIR_LEASE_REAPING)
			c.held++;
		else if (state == WEIR_LEASE_MOVING && i < lease)
			c.before++;
		else if (state == WEIR_LEASE_MOVING)
			c.behind++;
	}
	return c;
}

/* Dekker among any number: everybody has made his lease MOVING before he counts, and of two who count each other the one with the
 * lower lease stays and counts again, while the other goes back to WAITING. */
bool weir_lease_spare_room(const struct weir_segment *s, uint32_t lease, unsigned scope, uint32_t tag, uint32_t limit)
{
	if (scope >= WEIR_SCOPES)
		return true;
	weir_store_before_load();
	for (unsigned i = 0; i < SPARE_COUNTS; i++) {
		struct spare_count c = count_spare(s, lease, scope, tag);

		if (c.held + c.before >= limit)
			return false;
		if (c.held + c.before + c.behind < limit)
			return true;
	}
	return false;
}

/* Adds a pid to a set of at most PROCESSES_MAX. Returns whether it was new. */
static bool add_process(uint32_t set[PROCESSES_MAX], uint32_t pid)
{
	uint32_t at = pid * UINT32_C(2654435769) / (UINT32_MAX / PROCESSES_MAX + 1); /* Fibonacci hashing (Knuth) */

	for (uint32_t i = 0; i < PROCESSES_MAX; i++, at = (at + 1) % PROCESSES_MAX) {
		if (set[at] == pid)
			return false;
		if (set[at] == 0) {
			set[at] = pid;
			return true;
		}
	}
	return false;
}

/* Its set is too large for a stranger's stack: this is for exports, and never called in a host process. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wframe-larger-than="
uint32_t weir_lease_occupancy(const struct weir_segment *s, struct weir_occupancy *out)
{
	uint32_t process[PROCESSES_MAX], processes = 0, end = lease_scan_end(s);
	struct lease_copy c;

	memset(process, 0, sizeof process);
	memset(out, 0, ((size_t)s->entries + 1) * sizeof *out);
	for (uint32_t i = 0; i < end; i++) {
		bool in_flight;

		if (!lease_scan_read(s, i, &c))
			continue;
		in_flight = lease_word_state(c.word) == WEIR_LEASE_IN_FLIGHT;
		if (!in_flight && lease_word_state(c.word) != WEIR_LEASE_WAITING && lease_word_state(c.word) != WEIR_LEASE_MOVING)
			continue;
		for (unsigned k = 0; k < WEIR_SCOPES; k++) {
			if (c.entry[k] > s->entries)
				continue;
			if (in_flight) {
				out[c.entry[k]].in_flight++;
				continue;
			}
			out[c.entry[k]].waiting++;
			out[c.entry[k]].waiting_in[atomic_load_explicit(&s->lease[i].queue.class, memory_order_relaxed) %
						   WEIR_CLASSES]++;
		}
		if (lease_word_pid(c.word) != 0 && add_process(process, lease_word_pid(c.word)))
			processes++;
	}
	return processes;
}
#pragma GCC diagnostic pop

size_t weir_lease_holders(const struct weir_segment *s, uint32_t slot, struct weir_holder *out, size_t max)
{
	uint32_t end = lease_scan_end(s);
	struct lease_copy c;
	size_t n = 0;

	for (uint32_t i = 0; i < end; i++) {
		struct weir_holder h;
		size_t at;

		if (!lease_scan_read(s, i, &c) || lease_word_state(c.word) != WEIR_LEASE_IN_FLIGHT || c.entry[0] != slot)
			continue;
		h.pid = lease_word_pid(c.word);
		h.pid_namespace = atomic_load_explicit(&s->lease[i].pid_namespace, memory_order_relaxed);
		h.begun_ns = atomic_load_explicit(&s->lease[i].begun_ns, memory_order_relaxed);
		for (at = n; at > 0 && out[at - 1].begun_ns > h.begun_ns; at--) {
			if (at < max)
				out[at] = out[at - 1];
		}
		if (at < max)
			out[at] = h;
		if (n < max)
			n++;
	}
	return n;
}
