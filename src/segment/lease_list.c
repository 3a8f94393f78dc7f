/* SPDX-License-Identifier: MIT */
/* Who waits and who is in flight, for exports. */
#include "lease_scan.h"
#include "lease_word.h"
#include "weir/segment.h"

void weir_lease_tell(const struct weir_segment *s, uint32_t lease, uint32_t tag, uint32_t pid, enum weir_cause cause,
		     uint64_t until_ns)
{
	struct weir_lease *l;
	uint64_t w;

	if (lease >= s->leases)
		return;
	l = &s->lease[lease];
	w = atomic_load_explicit(&l->word, memory_order_relaxed);
	if (lease_word_pid(w) != pid || lease_word_tag(w) != (tag & LEASE_TAG_MASK))
		return;
	atomic_store_explicit(&l->waits_until_ns, until_ns, memory_order_relaxed);
	atomic_store_explicit(&l->waits_cause, (uint64_t)cause, memory_order_relaxed);
}

/* A lease as a request under way; false when it is none. */
static bool view(const struct weir_segment *s, uint32_t lease, struct weir_underway *out)
{
	const struct weir_lease *l = &s->lease[lease];
	struct lease_copy c;
	uint64_t cause;

	if (!lease_scan_read(s, lease, &c))
		return false;
	out->waiting = lease_word_state(c.word) == WEIR_LEASE_WAITING || lease_word_state(c.word) == WEIR_LEASE_MOVING;
	if (!out->waiting && lease_word_state(c.word) != WEIR_LEASE_IN_FLIGHT)
		return false;
	out->pid = lease_word_pid(c.word);
	out->pid_namespace = atomic_load_explicit(&l->pid_namespace, memory_order_relaxed);
	out->slot = c.entry[0] <= s->entries ? c.entry[0] : WEIR_NONE;
	out->begun_ns = atomic_load_explicit(&l->begun_ns, memory_order_relaxed);
	cause = out->waiting ? atomic_load_explicit(&l->waits_cause, memory_order_relaxed) : 0;
	out->cause = cause < WEIR_CAUSE_COUNT ? (enum weir_cause)cause : WEIR_CAUSE_NONE;
	out->until_ns = out->waiting ? atomic_load_explicit(&l->waits_until_ns, memory_order_relaxed) : 0;
	return atomic_load_explicit(&l->word, memory_order_relaxed) == c.word;
}

size_t weir_lease_list(const struct weir_segment *s, uint32_t *next, struct weir_underway *out, size_t max)
{
	uint32_t end = lease_scan_end(s);
	size_t n = 0;

	for (; *next < end && n < max; ++*next)
		if (view(s, *next, &out[n]))
			n++;
	return n;
}
