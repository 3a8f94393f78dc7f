/* SPDX-License-Identifier: MIT */
#include "src/preload/core/ledger.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "weir/kernel.h"
#include "weir/log.h"

#define SECOND_NS UINT64_C(1000000000)
#define RETRY_NS  (5 * SECOND_NS)
#define VIEWS     64 /* files mapped one after the other */

enum { NEW = 0, BUSY, MAPPED, FAILED };

static struct weir_ledger views[VIEWS];
static _Atomic uint32_t current; /* the view in use + 1; 0: none yet */
static _Atomic uint64_t state;   /* pid of who is BUSY:32 | state:32 */
static _Atomic uint64_t due_ns;  /* MAPPED: when to look at the name again; FAILED: when to try again */
static char path[WEIR_PATH_MAX + 32];
static uint64_t world;

void weir_ledger_world(uint64_t key)
{
	if (key != world)
		path[0] = '\0';
	world = key;
}

static const char *find_path(int *err)
{
	struct weir_environment e;
	char directory[WEIR_PATH_MAX];
	const char *why;

	weir_environment_read(&e);
	why = weir_state_directory(&e, directory, err);
	if (why == NULL)
		weir_format(path, sizeof path, "%s/ledger.%016llx", directory, (unsigned long long)world);
	return why;
}

static void tell(const char *wrong, const char *so, int err)
{
	struct weir_environment e;
	char why[160];

	weir_format(why, sizeof why, "%s; %s", wrong, so);
	weir_log(WEIR_LOG_ERROR, "%s: %s (errno %d)", path[0] ? path : "ledger of quotas", why, err);
	weir_environment_read(&e);
	weir_notice(&e, path[0] ? path : "ledger of quotas", why, err);
}

/* Of the disk on which it lies: full, where it copies on write. */
static void tell_failed(void)
{
	tell("it cannot be written", "its quotas are counted on in the segment", EFAULT);
}

/* The work of the thread that is BUSY. */
static void map(void)
{
	uint32_t next = atomic_load_explicit(&current, memory_order_relaxed);
	const char *why = NULL;
	int err = 0;
	/* One that has gone out of reach (a chroot, rights that were given up, a home that was unmounted) is the one that all
	 * others count in. */
	bool good = false, kept = next > 0 && next < VIEWS;

	if (path[0] == '\0')
		why = find_path(&err);
	if (why == NULL && next < VIEWS) {
		good = weir_ledger_open(&views[next], path, &why, &err);
		if (good && why != NULL) {
			const struct weir_gate *g = weir_attached();

			tell(why, "set aside, and nothing is left of its quotas until their next windows", 0);
			if (g != NULL)
				weir_event_write(g->segment, WEIR_EVENT_LEDGER_LOST, WEIR_CAUSE_NONE, NULL, 0, 0, 0,
						 weir_now_ns());
		}
	}
	if (good)
		atomic_store_explicit(&current, next + 1, memory_order_release);
	else if (!kept)
		tell(why != NULL ? why : "it changes all the time", "quotas are counted in the segment alone", err);
	atomic_store_explicit(&due_ns, weir_now_ns() + (good ? SECOND_NS : RETRY_NS), memory_order_relaxed);
	atomic_store_explicit(&state, good || kept ? MAPPED : FAILED, memory_order_release);
	weir_syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* Whether this thread is to map it now. Waits for another one of this process that is at it; one of its parent's never will be.
 */
static bool is_my_turn(uint64_t seen)
{
	uint64_t until = weir_now_ns() + SECOND_NS, mine = (uint64_t)weir_getpid() << 32 | BUSY;

	for (;;) {
		struct timespec rest = {0, 50000000};

		if ((seen & UINT32_MAX) != BUSY || seen != mine) {
			if (atomic_compare_exchange_strong(&state, &seen, mine))
				return true;
			if ((seen & UINT32_MAX) == MAPPED || (seen & UINT32_MAX) == FAILED)
				return false;
			continue;
		}
		if (weir_now_ns() >= until)
			return false;
		weir_syscall(SYS_futex, &state, FUTEX_WAIT_PRIVATE, (uint32_t)BUSY, &rest, NULL, 0);
		seen = atomic_load_explicit(&state, memory_order_acquire);
		if ((seen & UINT32_MAX) != BUSY)
			return false;
	}
}

const struct weir_ledger *weir_ledger_of_process(void)
{
	uint64_t seen = atomic_load_explicit(&state, memory_order_acquire), now = weir_tick_ns(),
		 due = atomic_load_explicit(&due_ns, memory_order_relaxed);
	uint32_t view = atomic_load_explicit(&current, memory_order_acquire);

	if ((seen & UINT32_MAX) == MAPPED && now >= due && atomic_compare_exchange_strong(&due_ns, &due, now + SECOND_NS)) {
		if (weir_ledger_has_failed())
			weir_undisturbed(tell_failed);
		if (!weir_ledger_is_there(&views[view - 1], path) && is_my_turn(seen))
			weir_undisturbed(map);
	}
	if (((seen & UINT32_MAX) == FAILED && now >= due) || (seen & UINT32_MAX) == NEW || (seen & UINT32_MAX) == BUSY)
		if (is_my_turn(seen))
			weir_undisturbed(map);
	view = atomic_load_explicit(&current, memory_order_acquire);
	return view > 0 && (atomic_load_explicit(&state, memory_order_relaxed) & UINT32_MAX) != FAILED ? &views[view - 1] : NULL;
}
