/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/loop.h"

#include <errno.h>
#include <sys/epoll.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"

/* So many EAGAINs without a wait in between are an answer to somebody who does not wait. */
#define PATIENCE 3
/* In so many waits a program is told of what it has not asked for. */
#define PROMPTS 3

_Atomic uint32_t weir_held;
static _Atomic uint32_t prompted; /* records */

/* By descriptor: the epoll set that it was last put into. Descriptors may be put there before they are connected. */
static struct {
	_Atomic int32_t ep; /* + 1; 0 = none */
	_Atomic uint32_t events;
	_Atomic uint64_t data;
} watch[WEIR_MARKS];

/* By epoll descriptor: threads that wait on it, and whether any has. */
static _Atomic uint16_t waiters[WEIR_MARKS];
static _Atomic uint8_t waited[WEIR_MARKS];

static WEIR_THREAD_LOCAL struct {
	uint32_t waits;  /* so far */
	uint32_t polled; /* connections in the last poll or select */
	int glanced;     /* + 1: the connection that it has looked at last without a wait for one; 0 = none since it waited */
	int dozes;       /* + 1: the connection whose looks take a little; 0 = none */
	bool unseen;     /* it has looked at several so: it is in a loop whose waits are not seen */
	int waits_on;    /* + 1: the epoll set that it is counted as waiting on; 0 = none */
} mine;

void weir_loop_watched(int fd, int ep, uint32_t events, uint64_t data)
{
	if ((unsigned)fd >= WEIR_MARKS)
		return;
	atomic_store_explicit(&watch[fd].events, events, memory_order_relaxed);
	atomic_store_explicit(&watch[fd].data, data, memory_order_relaxed);
	atomic_store_explicit(&watch[fd].ep, ep + 1, memory_order_relaxed);
}

void weir_loop_left(void)
{
	if (mine.waits_on != 0)
		atomic_fetch_sub_explicit(&waiters[mine.waits_on - 1], 1, memory_order_relaxed);
	mine.waits_on = 0;
}

void weir_loop_wait_begin(int ep)
{
	mine.waits++;
	mine.polled = 0;
	mine.unseen = false;
	mine.glanced = 0;
	/* It has jumped out of a wait, or is in a signal handler inside one, which the other's end is nothing to then. */
	weir_loop_left();
	if ((unsigned)ep >= WEIR_MARKS)
		return;
	weir_flight_watch_thread();
	mine.waits_on = ep + 1;
	atomic_fetch_add_explicit(&waiters[ep], 1, memory_order_relaxed);
	if (atomic_load_explicit(&waited[ep], memory_order_relaxed) == 0)
		atomic_store_explicit(&waited[ep], 1, memory_order_relaxed);
}

void weir_loop_polls(unsigned connections)
{
	mine.waits++;
	mine.polled = connections;
	if (connections == 0)
		return;
	mine.unseen = false;
	mine.glanced = 0;
}

void weir_loop_glances(int fd)
{
	mine.waits++;
	mine.unseen = mine.unseen || (mine.glanced != 0 && mine.glanced != fd + 1);
	mine.glanced = fd + 1;
}

bool weir_loop_may_doze(int fd)
{
	if (!mine.unseen || !weir_loop_holds(fd))
		return false;
	if (mine.dozes == 0 || !weir_loop_holds(mine.dozes - 1))
		mine.dozes = fd + 1;
	return mine.dozes == fd + 1;
}

/* Changes what the epoll set is told of fd. False when it is not in there. */
static bool tell(int fd, int ep, uint32_t hidden, uint32_t added)
{
	const struct weir_libc *libc = weir_libc();
	struct epoll_event e = {.events = atomic_load_explicit(&watch[fd].events, memory_order_relaxed)};

	e.events = (e.events & ~hidden) | added;
	e.data.u64 = atomic_load_explicit(&watch[fd].data, memory_order_relaxed);
	return libc->epoll_ctl && libc->epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e) == 0;
}

static bool is_watched_by(int fd, int ep)
{
	return ep >= 0 && atomic_load_explicit(&watch[fd].ep, memory_order_relaxed) == ep + 1;
}

/* The set tells again what the program wants. */
static void stop_prompting(struct weir_record *r)
{
	r->prompted = 0;
	atomic_fetch_sub_explicit(&prompted, 1, memory_order_relaxed);
	if (is_watched_by(r->held_fd, r->held_ep))
		tell(r->held_fd, r->held_ep, 0, 0);
}

/* A program may have stopped to ask for writability, though it was answered with EAGAIN (serf while it shakes hands): it would
 * never send again. It is told all the same, for some waits or until it sends. */
static void let_go(struct weir_record *r, bool prompt)
{
	bool asks = (atomic_load_explicit(&watch[r->held_fd].events, memory_order_relaxed) & EPOLLOUT) != 0;

	r->held = false;
	atomic_fetch_sub_explicit(&weir_held, 1, memory_order_relaxed);
	if (!is_watched_by(r->held_fd, r->held_ep) || !tell(r->held_fd, r->held_ep, 0, prompt ? EPOLLOUT : 0) || !prompt || asks)
		return;
	r->prompted = PROMPTS;
	atomic_fetch_add_explicit(&prompted, 1, memory_order_relaxed);
}

void weir_loop_let_go(struct weir_record *r)
{
	int saved = errno;

	if (r->prompted != 0)
		stop_prompting(r);
	if (r->held)
		let_go(r, false);
	errno = saved;
}

__attribute__((noinline)) static void count_prompts(int ep)
{
	int saved = errno;
	struct weir_record *r;

	for (uint32_t n = 0; weir_record_nth(n, &r); n++) {
		if (!r)
			continue;
		if (r->prompted != 0 && r->held_ep == ep && --r->prompted == 0)
			stop_prompting(r);
		weir_record_put(r);
	}
	errno = saved;
}

void weir_loop_wait_end(int ep)
{
	if (mine.waits_on == ep + 1)
		weir_loop_left();
	if (atomic_load_explicit(&prompted, memory_order_relaxed) != 0)
		count_prompts(ep);
}

/* Whether this thread asks again and again without a wait. */
static bool is_stubborn(struct weir_record *r)
{
	if (r->eagain_thread != weir_thread_id() || r->eagain_waits != mine.waits)
		r->eagains = 0;
	r->eagain_thread = weir_thread_id();
	r->eagain_waits = mine.waits;
	return ++r->eagains > PATIENCE;
}

#define NO_SET (-1)
#define BUSY   (-2)

/* The epoll set that tells of fd, which is told to be silent; NO_SET, or BUSY where a thread waits on it already. */
static int hush(int fd)
{
	int ep = (unsigned)fd < WEIR_MARKS ? atomic_load_explicit(&watch[fd].ep, memory_order_relaxed) - 1 : -1;

	if ((unsigned)ep >= WEIR_MARKS || atomic_load_explicit(&waited[ep], memory_order_relaxed) == 0)
		return NO_SET;
	if (atomic_load_explicit(&waiters[ep], memory_order_relaxed) != 0)
		return BUSY;
	/* Also where it has been told: a forked child that ends its copy of the connection tells the set, which is its parent's
	 * as well, otherwise. */
	if (tell(fd, ep, EPOLLOUT, 0))
		return ep;
	/* It was another descriptor of this number that was in there. */
	weir_loop_watched(fd, -1, 0, 0);
	return NO_SET;
}

bool weir_loop_hold(struct weir_record *r, int fd, uint64_t wake_ns)
{
	int ep;

	if (r->prompted != 0)
		stop_prompting(r);
	ep = is_stubborn(r) ? BUSY : hush(fd);
	if (ep == BUSY || (ep == NO_SET && mine.polled < 2 && !mine.unseen)) {
		weir_loop_let_go(r);
		return false;
	}
	if (!r->held)
		atomic_fetch_add_explicit(&weir_held, 1, memory_order_relaxed);
	r->held = true;
	r->held_fd = fd;
	r->held_ep = ep;
	r->wake_ns = wake_ns;
	return true;
}

bool weir_loop_holds(int fd)
{
	const struct weir_record *r = weir_record_peek(fd);

	return r && r->held && r->held_fd == fd;
}

uint64_t weir_loop_release(int ep, bool (*in)(int fd, const void *of), const void *of)
{
	const struct weir_gate *g = weir_attached();
	uint64_t now = weir_now_ns(), next = WEIR_NEVER;
	struct weir_record *r;

	for (uint32_t n = 0; weir_record_nth(n, &r); n++) {
		if (!r)
			continue;
		if (r->held && (ep >= 0 ? r->held_ep == ep : in(r->held_fd, of))) {
			if (g && r->wake_ns <= now && r->next.phase == WEIR_PHASE_WAITING)
				weir_gate_look(g, &r->next, now, &r->wake_ns);
			if (r->next.phase != WEIR_PHASE_WAITING)
				let_go(r, true);
			else if (r->wake_ns < next)
				next = r->wake_ns;
		}
		weir_record_put(r);
	}
	return next;
}
