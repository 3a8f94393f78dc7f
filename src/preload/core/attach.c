/* SPDX-License-Identifier: MIT */
#include "src/preload/core/attach.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/preload/core/environment.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/ledger.h"
#include "src/preload/core/room.h"
#include "src/preload/core/tell.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/summary.h"

#define SECOND_NS      UINT64_C(1000000000)
#define RETRY_NS       (5 * SECOND_NS)
#define OTHERS_WAIT_NS SECOND_NS /* the policy's 250 ms, and what a busy machine adds to them */
#define LOOK_EVERY_NS  SECOND_NS
#define VIEWS          16 /* files mapped one after the other; the old ones stay, as threads may be in them */
/* As large as the machine's pages may be: wiping goes by whole ones. */
#if defined(__x86_64__)
#define PAGE_BYTES 4096
#else
#define PAGE_BYTES 65536
#endif
#define KERNEL_SIGSET_SIZE 8

enum { NEW = 0, BUSY, ATTACHED, FAILED };

/* Wiped in a forked child, so NEW again. One page of its own, as wiping goes by pages. */
static union {
	struct {
		_Atomic uint32_t state;
		_Atomic uint32_t serial;
		_Atomic uint64_t retry_ns; /* with FAILED */
		_Atomic uint64_t look_ns;  /* with ATTACHED: when to look at the file's name again */
		_Atomic uint32_t looking;  /* a thread does */
	};
	char page[PAGE_BYTES];
} here __attribute__((aligned(PAGE_BYTES)));

/* Inherited by a forked child. Written by the thread that is BUSY, read by all once ATTACHED. */
static struct view {
	struct weir_segment segment;
	struct weir_gate gate;
} views[VIEWS];
static _Atomic uint32_t current; /* the view in use; a file that took the place of the last one is mapped into the next */
static _Atomic bool mapped;      /* its handle is whole: a child may be forked while another thread fills it */
static struct stat root;         /* directory of the process when it mapped, and its user then */
static uid_t mapped_as;
static bool prepared; /* the environment has been read and the page is wiped in children */
static bool wiping;   /* it is: else weir_getpid() tells */
static pid_t pid_of_gate;
static bool only_counts;
static uint64_t clock_of_segment; /* weir_clock_offset() when it was mapped */
static struct weir_world world;
static struct weir_summary *summary; /* of the run; inherited by a forked child; NULL: none, or not to be had */
static bool summary_asked;
static _Atomic uint32_t last_serial;

static WEIR_THREAD_LOCAL struct {
	uint32_t serial, id;
} thread;

uint32_t weir_thread_id(void)
{
	uint32_t serial = weir_process_serial();

	if (thread.id == 0 || thread.serial != serial) {
		thread.id = weir_kernel_allows(SYS_gettid) ? (uint32_t)weir_syscall(SYS_gettid) : 0;
		thread.serial = serial;
	}
	return thread.id;
}

uint32_t weir_process_serial(void)
{
	return atomic_load_explicit(&here.serial, memory_order_relaxed);
}

static struct view *view(void)
{
	return &views[atomic_load_explicit(&current, memory_order_acquire)];
}

static const char *prepare(void)
{
	struct weir_environment e;
	const char *why;

	wiping = madvise(&here, sizeof here, MADV_WIPEONFORK) == 0;
	weir_environment_read(&e);
	why = weir_world_of(&e, &world);
	if (!why)
		weir_ledger_world(world.key);
	if (!why)
		weir_environment_gate(&view()->gate);
	view()->gate.dry_run |= only_counts;
	prepared = !why;
	return why;
}

/* In the log, if there is one, and where the operator finds it. */
static void tell(const char *so, const char *what, const char *why, int err)
{
	struct weir_environment e;

	weir_log(WEIR_LOG_ERROR, "%s: %s (errno %d); %s", what, why, err, so);
	weir_environment_read(&e);
	weir_notice(&e, what, why, err);
}

static void tell_unlimited(const char *what, const char *why, int err)
{
	tell("requests pass unlimited", what, why, err);
}

/* A budget that a service does not share with the rest of its user. */
static void tell_private(void)
{
	struct weir_environment e;

	/* Only what lies there is ever private: the look costs a page of text. */
	if ((strncmp(world.dir, "/tmp/", 5) != 0 && strncmp(world.dir, "/var/tmp/", 9) != 0) || !weir_place_is_private(world.dir))
		return;
	weir_environment_read(&e);
	weir_notice(&e, world.dir,
		    "it is this service's own (PrivateTmp), so its budgets are not shared; let WEIR_RUNTIME_DIR name another", 0);
}

static bool map(void)
{
	const char *why = prepared ? NULL : prepare();
	enum weir_segment_result result;
	int err = 0;

	if (!why)
		why = weir_world_prepare(&world, weir_geteuid(), &err);
	if (why) {
		tell_unlimited(world.dir[0] ? world.dir : "runtime directory", why, err);
		return false;
	}
	result = weir_segment_open(&view()->segment, world.segment, true, NULL, &why, &err);
	if (result == WEIR_SEGMENT_OK) {
		clock_of_segment = weir_clock_offset();
		mapped_as = weir_geteuid();
		(void)weir_stat("/", &root);
		atomic_store_explicit(&mapped, true, memory_order_release);
		tell_private();
		return true;
	}
	tell_unlimited(world.segment, why, err);
	if (result == WEIR_SEGMENT_INVALID)
		weir_rooms_damaged();
	return false;
}

/* Nothing is kept back where it cannot be had: a process that is in another root, or that is somebody else by now, is missing in
 * the summary. */
static __attribute__((noinline)) void map_summary(void)
{
	const char *path = weir_environment_summary(), *why = NULL;
	int err = 0;

	summary_asked = true;
	if (!path)
		return;
	summary = weir_summary_open(path, &why, &err);
	if (!summary)
		weir_log(WEIR_LOG_WARN, "%s: %s (errno %d); this process is not in the run's summary", path, why, err);
}

/* The work of the thread that is BUSY. */
static bool make_gate(void)
{
	bool first = !atomic_load_explicit(&mapped, memory_order_acquire);
	struct view *v;

	/* A child for which its parent has made a time namespace: another clock is another world. What is mapped stays, unused.
	 */
	if (!first && weir_clock_offset() != clock_of_segment) {
		atomic_store_explicit(&mapped, false, memory_order_relaxed);
		prepared = false;
		first = true;
	}
	if (first && !map())
		return false;
	v = view();
	v->segment.ledger = weir_ledger_of_process;
	v->gate.segment = &v->segment;
	v->gate.long_wait = weir_tell_long_wait;
	if (!summary_asked)
		map_summary();
	v->gate.summary = summary;
	weir_owner_self(&v->gate.owner);
	pid_of_gate = weir_getpid();
	weir_rooms_forget();
	if (first) {
		weir_lease_reap_own(&v->segment, &v->gate.owner, weir_now_ns());
		weir_rooms_mapped(&v->segment);
	}
	return true;
}

/* Whether the name leads to another file by now, or to none, and that is for this process to mend: not in another root directory
 * and not as another user, where the name means something else. */
static bool is_replaced(const struct weir_segment *s)
{
	struct stat st;

	if (s->inode == 0)
		return false;
	if (weir_lstat(world.segment, &st) == 0) {
		if (st.st_dev == s->device && st.st_ino == s->inode)
			return false;
	} else if (errno != ENOENT) {
		return false;
	}
	return weir_geteuid() == mapped_as && weir_stat("/", &st) == 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino;
}

/* Maps the file that has the name now, made where there is none. Requests under way go on in the old one, which stays mapped;
 * what they hold there is nobody's loss. */
static void map_anew(void)
{
	uint32_t next = atomic_load_explicit(&current, memory_order_relaxed) + 1;
	const struct view *old = view();
	struct view *v = &views[next % VIEWS];
	const char *why;
	int err = 0;

	if (next >= VIEWS)
		return;
	why = weir_world_prepare(&world, mapped_as, &err);
	if (why || weir_segment_open(&v->segment, world.segment, true, NULL, &why, &err) != WEIR_SEGMENT_OK) {
		tell("requests go on under limits of this process's own", world.segment, why, err);
		return;
	}
	weir_rooms_finish();
	v->gate = old->gate;
	v->segment.ledger = weir_ledger_of_process;
	v->gate.segment = &v->segment;
	atomic_store_explicit(&current, next, memory_order_release);
	/* What began before belongs to the old one: its end is not told to the new one. */
	atomic_store_explicit(&here.serial, atomic_fetch_add(&last_serial, 1) + 1, memory_order_relaxed);
	weir_log(WEIR_LOG_INFO, "%s: replaced; mapped anew", world.segment);
	weir_rooms_mapped(&v->segment);
}

static void attach(void)
{
	bool good = make_gate();

	if (good)
		atomic_store_explicit(&here.serial, atomic_fetch_add(&last_serial, 1) + 1, memory_order_relaxed);
	atomic_store_explicit(good ? &here.look_ns : &here.retry_ns, weir_now_ns() + (good ? LOOK_EVERY_NS : RETRY_NS),
			      memory_order_relaxed);
	atomic_store_explicit(&here.state, good ? ATTACHED : FAILED, memory_order_release);
	weir_syscall(SYS_futex, &here.state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* A signal handler that jumps out of here, or a cancellation, would leave BUSY behind for ever. */
void weir_undisturbed(void (*work)(void))
{
	const uint64_t all = UINT64_MAX;
	uint64_t before = 0;
	int cancel = 0;

	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_SIZE);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	work();
	pthread_setcancelstate(cancel, NULL);
	weir_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_SIZE);
}

/* Once a second at most, by one thread. */
static void look_now_and_then(void)
{
	uint64_t due = atomic_load_explicit(&here.look_ns, memory_order_relaxed), now = weir_tick_ns();
	uint32_t nobody = 0;

	if (now < due || !atomic_compare_exchange_strong(&here.look_ns, &due, now + LOOK_EVERY_NS))
		return;
	if (!is_replaced(&view()->segment) || !atomic_compare_exchange_strong(&here.looking, &nobody, 1))
		return;
	weir_undisturbed(map_anew);
	atomic_store(&here.looking, 0);
}

/* Whether this thread is to attach now. Waits for one that is at it. */
static bool is_my_turn(void)
{
	uint64_t until = weir_now_ns() + OTHERS_WAIT_NS;

	for (;;) {
		uint32_t state = atomic_load_explicit(&here.state, memory_order_acquire);
		uint64_t now = weir_now_ns();
		struct timespec rest = {0, (long)(until > now ? until - now : 0)};

		if (state == ATTACHED)
			return false;
		if (state == FAILED && now < atomic_load_explicit(&here.retry_ns, memory_order_relaxed))
			return false;
		if (state != BUSY) {
			if (atomic_compare_exchange_strong(&here.state, &state, BUSY))
				return true;
			continue;
		}
		if (now >= until)
			return false;
		weir_syscall(SYS_futex, &here.state, FUTEX_WAIT_PRIVATE, BUSY, &rest, NULL, 0);
	}
}

const struct weir_gate *weir_attached(void)
{
	if (atomic_load_explicit(&here.state, memory_order_acquire) != ATTACHED)
		return NULL;
	return wiping || weir_getpid() == pid_of_gate ? &view()->gate : NULL;
}

const struct weir_gate *weir_attach(void)
{
	const struct weir_gate *g = weir_attached();

	if (g) {
		look_now_and_then();
		return weir_attached();
	}
	/* A child without the kernel's wiping (before Linux 4.14). */
	if (atomic_load_explicit(&here.state, memory_order_acquire) == ATTACHED)
		atomic_store_explicit(&here.state, NEW, memory_order_relaxed);
	if (is_my_turn())
		weir_undisturbed(attach);
	return weir_attached();
}

void weir_attach_only_counts(void)
{
	only_counts = true;
	view()->gate.dry_run = true;
}
