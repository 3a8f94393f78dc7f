/* SPDX-License-Identifier: MIT */
#include "src/agent/upkeep.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "weir/gate.h"
#include "weir/log.h"

#define SWEEP_EVERY_NS UINT64_C(5000000000)
#define ENTRY_IDLE_NS  UINT64_C(3600000000000) /* an entry that nobody has used for an hour has nothing to tell any more */

/* The longest wait that can be configured: who has no lease waits no longer. */
#define LOST_NS (UINT64_C(7) * 86400 * 1000000000)

bool weir_upkeep_init(struct weir_upkeep *u, const struct weir_segment *s, const char *segment_path, uint64_t now_ns)
{
	struct stat st;
	memset(u, 0, sizeof *u);
	u->segment = s;
	u->segment_path = segment_path;
	u->active_ns = u->swept_ns = now_ns;
	weir_owner_self(&u->self);
	u->lost = atomic_load_explicit(&s->header->leases_lost, memory_order_relaxed);
	u->lost_ns = u->lost != 0 ? now_ns : 0;
	u->room = calloc((size_t)s->entries + 1, sizeof *u->room);
	if (lstat(segment_path, &st) != 0)
		return false;
	u->device = st.st_dev;
	u->inode = st.st_ino;
	return true;
}

void weir_upkeep_end(struct weir_upkeep *u)
{
	free(u->room);
	u->room = NULL;
}

/* A request that found no free lease waits without being counted: while there are such, a queue only looks too long. */
static void requeue(struct weir_upkeep *u, uint64_t now_ns)
{
	uint64_t lost = atomic_load_explicit(&u->segment->header->leases_lost, memory_order_relaxed);
	uint32_t shortened;

	if (lost != u->lost)
		u->lost_ns = now_ns;
	u->lost = lost;
	if (u->room == NULL || (u->lost_ns != 0 && now_ns - u->lost_ns < LOST_NS))
		return;
	shortened = weir_gate_requeue(u->segment, u->room, weir_now_ns);
	if (shortened > 0)
		weir_log(WEIR_LOG_INFO, "agent: %u queues were longer than there were requests waiting", shortened);
}

static bool still_there(const struct weir_upkeep *u)
{
	struct stat st;
	return lstat(u->segment_path, &st) == 0 && st.st_dev == u->device && st.st_ino == u->inode;
}

/* The last use of any entry: entries that are free are skipped by their index word, so this touches what is in use only. */
static uint64_t last_use(const struct weir_segment *s, uint64_t now_ns)
{
	uint64_t last = 0;
	char key[WEIR_KEY_MAX];
	for (uint32_t slot = 0; slot <= s->entries; slot++) {
		if (slot < s->entries && (atomic_load_explicit(&s->index[slot], memory_order_relaxed) == 0))
			continue;
		if (!weir_entry_key(s, slot, key))
			continue;
		uint64_t used = atomic_load_explicit(&s->entry[slot].used_ns, memory_order_relaxed);
		if (used > last && used <= now_ns)
			last = used;
	}
	return last;
}

static bool any_lease(const struct weir_segment *s)
{
	for (uint32_t i = 0; i < s->leases; i++)
		if ((atomic_load_explicit(&s->lease[i].word, memory_order_relaxed) & 0xff) != WEIR_LEASE_FREE)
			return true;
	return false;
}

bool weir_upkeep_turn(struct weir_upkeep *u, uint64_t now_ns)
{
	const struct weir_segment *s = u->segment;
	if (!still_there(u)) {
		weir_log(WEIR_LOG_WARN, "agent: %s has vanished or was replaced", u->segment_path);
		return false;
	}
	atomic_store(&s->header->agent_pid, u->self.pid);
	atomic_store(&s->header->agent_seen_ns, now_ns);

	uint32_t reaped = weir_lease_reap(s, &u->self, true, now_ns);
	if (reaped > 0)
		weir_log(WEIR_LOG_INFO, "agent: freed %u leases of dead processes", reaped);
	requeue(u, now_ns);
	weir_gate_tend(s, now_ns);
	if (now_ns - u->swept_ns >= SWEEP_EVERY_NS) {
		weir_entry_sweep(s, ENTRY_IDLE_NS, now_ns);
		u->swept_ns = now_ns;
	}

	uint64_t used = last_use(s, now_ns);
	if (any_lease(s))
		u->active_ns = now_ns;
	else if (used > u->active_ns)
		u->active_ns = used;
	return true;
}
