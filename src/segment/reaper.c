/* SPDX-License-Identifier: MIT */
/*
 * Taking leases from the dead, and putting permit counts right.
 *
 * A reaper owns a lease from the moment it changes the lease's word to REAPING; only one can. What the dead owner held is known
 * when it died IN_FLIGHT: those permits are given back at once. When it died MOVING or SETTLING, permits were changing hands and
 * nobody knows how far it got: the entry's audit_due is raised before the lease is freed, and the permits are counted anew from
 * the leases. A reaper that dies in turn leaves a lease in REAPING, which the next one finishes after two seconds, by audit; the
 * dead owner's request is counted at most once.
 *
 * A mistaken reaper (a request past its deadline that is still running) harms nobody: its owner finds the lease changed and does
 * not give the permits back a second time.
 */
#include "futex.h"
#include "lease_scan.h"
#include "lease_word.h"
#include "process.h"
#include "slot_word.h"
#include "weir/segment.h"

/* Against permits that move while the leases are counted: a count takes microseconds. */
#define AUDIT_TRIES 8

#define SECOND_NS     UINT64_C(1000000000)
#define UNKNOWN_MIN_S 30U
#define UNKNOWN_MAX_S 3600U

enum audit { AUDIT_BUSY, AUDIT_RIGHT, AUDIT_CORRECTED };

static enum audit audit_once(const struct weir_segment *s, uint32_t slot)
{
	struct weir_concurrency *c = &s->entry[slot].concurrency;
	uint64_t seen = weir_concurrency_word(c);
	uint32_t end = lease_scan_end(s), count = 0;
	struct lease_copy l;

	for (uint32_t i = 0; i < end; i++) {
		if (!lease_scan_read(s, i, &l))
			return AUDIT_BUSY;
		if (lease_word_state(l.word) == WEIR_LEASE_FREE || lease_word_state(l.word) == WEIR_LEASE_CLAIMED)
			continue;
		for (unsigned k = 0; k < WEIR_SCOPES; k++) {
			if (l.entry[k] != slot)
				continue;
			if (lease_word_state(l.word) != WEIR_LEASE_IN_FLIGHT && lease_word_state(l.word) != WEIR_LEASE_WAITING)
				return AUDIT_BUSY;
			count += lease_word_held(l.word) >> k & 1;
		}
	}
	if ((uint32_t)seen == count)
		return weir_concurrency_word(c) == seen ? AUDIT_RIGHT : AUDIT_BUSY;
	return weir_concurrency_correct(c, seen, count) ? AUDIT_CORRECTED : AUDIT_BUSY;
}

/* Audits until it succeeds, within reason, and then lowers audit_due. A failure leaves it raised for the next reaper. */
static enum audit audit(const struct weir_segment *s, uint32_t slot)
{
	_Atomic uint64_t *due = &s->entry[slot].audit_due;
	uint64_t asked = atomic_load(due);
	enum audit result = AUDIT_BUSY;

	for (int i = 0; i < AUDIT_TRIES && result == AUDIT_BUSY; i++)
		result = audit_once(s, slot);
	if (result != AUDIT_BUSY && asked != 0)
		atomic_compare_exchange_strong(due, &asked, 0); /* fails when somebody else died meanwhile */
	return result;
}

bool weir_lease_audit(const struct weir_segment *s, uint32_t slot)
{
	return slot <= s->entries && audit(s, slot) == AUDIT_CORRECTED;
}

/* Asks for an audit of the entry; stands until it is done, whoever dies. */
static void ask_for_audit(const struct weir_segment *s, uint32_t slot)
{
	atomic_fetch_add(&s->entry[slot].audit_due, 1);
	atomic_fetch_add(&s->header->audits_asked, 1);
}

static void audit_if_due(const struct weir_segment *s, uint32_t slot, bool *all)
{
	if (atomic_load(&s->entry[slot].audit_due) == 0)
		return;
	if (audit(s, slot) == AUDIT_BUSY)
		*all = false;
	else
		weir_entry_wake(s, slot);
}

/* Makes the audits that are due, this reaper's and those that others did not get done. */
static void audit_all_due(const struct weir_segment *s)
{
	uint64_t asked = atomic_load(&s->header->audits_asked);
	bool all = true;

	if (asked == atomic_load(&s->header->audits_done))
		return;
	for (uint32_t slot = 0; slot < s->entries; slot++)
		if (slot_word_state(atomic_load_explicit(&s->index[slot], memory_order_acquire)) != WEIR_SLOT_FREE)
			audit_if_due(s, slot, &all);
	audit_if_due(s, s->entries, &all);
	if (all)
		atomic_store(&s->header->audits_done, asked);
}

/* What the kernel said last: many leases have the same owner. */
struct inquiry {
	const struct weir_owner *self;
	bool thorough;
	uint32_t pid; /* 0: none asked yet */
	bool gone;
	struct weir_process process; /* when thorough; start 0: could not be read */
};

static void inquire(struct inquiry *q, uint32_t pid)
{
	if (q->pid == pid && pid != 0)
		return;
	q->pid = pid;
	q->process.start = 0;
	q->gone = weir_process_gone(pid);
	/* Only where /proc numbers processes as we do: where our own entry could be read. */
	if (q->gone || !q->thorough || q->self->start == 0 || !weir_process_read(&q->process, pid) || q->process.pid != pid)
		return;
	/* A zombie runs no more; but while other threads run, a thread group whose leader has ended looks like one. */
	q->gone = q->process.state == 'X' || (q->process.state == 'Z' && q->process.threads <= 1);
}

/* Nobody here can ask after the owner. What it holds is believed for as long as requests to this host take, with room to spare:
 * four times what 99 of 100 stay below, half a minute at least. A living owner whose permit is taken so is one too many in flight
 * until it is over. */
static bool is_overdue(const struct weir_segment *s, const struct weir_lease *l, uint64_t w, uint64_t now_ns)
{
	uint32_t slot = atomic_load_explicit(&l->entry[0], memory_order_relaxed);
	uint32_t since_s = atomic_load_explicit(&l->admitted_s, memory_order_relaxed), now_s = (uint32_t)(now_ns / SECOND_NS);
	uint64_t usual_s = 0;

	if (lease_word_state(w) == WEIR_LEASE_WAITING || now_s - since_s < UNKNOWN_MIN_S)
		return false; /* what waits holds nothing */
	if (slot <= s->entries)
		usual_s = weir_durations_bound_ns(s, slot, WEIR_DURATIONS_LATENCY, 990) / SECOND_NS + 1;
	/* A time ahead of now is damage, and overdue. */
	return now_s - since_s > (4 * usual_s < UNKNOWN_MAX_S ? 4 * usual_s : UNKNOWN_MAX_S);
}

/* Whether nobody will end this lease any more. */
static bool owner_is_gone(const struct weir_segment *s, const struct weir_lease *l, uint64_t w, struct inquiry *q,
			  uint64_t now_ns)
{
	uint64_t deadline = atomic_load_explicit(&l->deadline_ns, memory_order_relaxed);
	uint64_t start = atomic_load_explicit(&l->start, memory_order_relaxed);
	uint32_t namespace = atomic_load_explicit(&l->pid_namespace, memory_order_relaxed);
	uint32_t thread = atomic_load_explicit(&l->thread, memory_order_relaxed);

	if (deadline != 0 && now_ns > deadline)
		return true;
	if (namespace == 0 || namespace != q->self->pid_namespace)
		return is_overdue(s, l, w, now_ns); /* its pid means nothing here */
	inquire(q, lease_word_pid(w));
	if (q->gone)
		return true;
	if (start != 0 && q->process.start != 0 && start != q->process.start)
		return true; /* the pid has been given to another process */
	return thread != 0 && weir_thread_gone(lease_word_pid(w), thread);
}

/* Takes the lease over, settles what its owner left, and frees it. Returns whether we were the one. */
static bool reap(const struct weir_segment *s, uint32_t lease, uint64_t w, const struct weir_owner *self, uint64_t now_ns)
{
	struct weir_lease *l = &s->lease[lease];
	unsigned state = lease_word_state(w);
	uint64_t reaping = lease_word(self->pid, lease_word_tag(w) + 1, lease_second(now_ns), WEIR_LEASE_REAPING);
	uint32_t entry[WEIR_SCOPES];
	struct weir_counters *counters = NULL;
	char key[WEIR_KEY_MAX];

	if (!atomic_compare_exchange_strong(&l->word, &w, reaping))
		return false;
	for (unsigned k = 0; k < WEIR_SCOPES; k++) {
		/* Who died while claiming it left the entries of the owner before; it held nothing. */
		entry[k] = state == WEIR_LEASE_CLAIMED ? WEIR_NONE
						       : atomic_load_explicit(weir_lease_entry(l, k), memory_order_relaxed);
		if (entry[k] > s->entries)
			continue;
		ask_for_audit(s, entry[k]);
		if (state == WEIR_LEASE_IN_FLIGHT && (lease_word_held(w) >> k & 1) != 0)
			weir_concurrency_give(&s->entry[entry[k]].concurrency);
	}
	key[0] = '\0';
	if (entry[0] <= s->entries) {
		struct weir_breaker_ticket ticket = {
			.generation = atomic_load_explicit(&l->breaker_generation, memory_order_relaxed),
			.probe = atomic_load_explicit(&l->breaker_probe, memory_order_relaxed),
		};

		if (ticket.probe != 0)
			weir_breaker_forgo(&s->entry[entry[0]].breaker, ticket);
		if (state != WEIR_LEASE_REAPING && atomic_exchange_explicit(&l->queue.counted, 0, memory_order_relaxed) == 1)
			weir_depth_leave(&s->entry[entry[0]].queue, atomic_load_explicit(&l->queue.class, memory_order_relaxed));
		counters = &s->entry[entry[0]].counters;
		weir_entry_key(s, entry[0], key);
	}
	/* SETTLING: its owner was about to count it, or has. REAPING: a reaper was. */
	if (counters != NULL && state == WEIR_LEASE_IN_FLIGHT && (lease_word_held(w) & WEIR_LEASE_UNCOUNTED) != 0)
		atomic_fetch_add_explicit(&counters->admitted, 1, memory_order_relaxed);
	if (counters != NULL && state == WEIR_LEASE_IN_FLIGHT)
		atomic_fetch_add_explicit(&counters->ignored, 1, memory_order_relaxed);
	else if (counters != NULL && (state == WEIR_LEASE_WAITING || state == WEIR_LEASE_MOVING))
		atomic_fetch_add_explicit(&counters->cancelled, 1, memory_order_relaxed);
	weir_event_write(s, WEIR_EVENT_LEASE_REAPED, WEIR_CAUSE_OWNER_DIED, key, lease_word_pid(w), 0, 0, now_ns);
	atomic_fetch_add_explicit(&s->header->leases_reaped, 1, memory_order_relaxed);
	weir_lease_free(s, lease, lease_word_tag(reaping), self->pid);
	for (unsigned k = 0; k < WEIR_SCOPES; k++)
		if (entry[k] <= s->entries)
			weir_entry_wake(s, entry[k]);
	return true;
}

uint32_t weir_lease_reap(const struct weir_segment *s, const struct weir_owner *self, bool thorough, uint64_t now_ns)
{
	struct inquiry q = {.self = self, .thorough = thorough};
	uint32_t end = lease_scan_end(s), freed = 0;

	for (uint32_t i = 0; i < end; i++) {
		struct weir_lease *l = &s->lease[i];
		uint64_t w = atomic_load_explicit(&l->word, memory_order_acquire);
		unsigned state = lease_word_state(w);
		bool due;

		if (state == WEIR_LEASE_FREE)
			continue;
		if (state == WEIR_LEASE_CLAIMED || state == WEIR_LEASE_REAPING)
			due = lease_word_abandoned(w, now_ns);
		else
			due = state > WEIR_LEASE_REAPING || lease_word_pid(w) == 0 || owner_is_gone(s, l, w, &q, now_ns);
		if (due && reap(s, i, w, self, now_ns))
			freed++;
	}
	audit_all_due(s);
	return freed;
}

uint32_t weir_lease_reap_own(const struct weir_segment *s, const struct weir_owner *self, uint64_t now_ns)
{
	uint32_t end = lease_scan_end(s), freed = 0;

	if (self->pid_namespace == 0)
		return 0; /* a process of another namespace may have our number */
	for (uint32_t i = 0; i < end; i++) {
		struct weir_lease *l = &s->lease[i];
		uint64_t w = atomic_load_explicit(&l->word, memory_order_acquire);
		unsigned state = lease_word_state(w);

		/* CLAIMED and REAPING leases say nothing of the namespace; two seconds settle them. */
		if (lease_word_pid(w) != self->pid || state == WEIR_LEASE_FREE || state == WEIR_LEASE_CLAIMED ||
		    state == WEIR_LEASE_REAPING)
			continue;
		/* Whatever its start time: either this process's former image, or a dead process that had the number before. */
		if (atomic_load_explicit(&l->pid_namespace, memory_order_relaxed) == self->pid_namespace &&
		    reap(s, i, w, self, now_ns))
			freed++;
	}
	if (freed != 0)
		audit_all_due(s);
	return freed;
}
