/* SPDX-License-Identifier: MIT */
/*
 * Hooks of what waits: poll, ppoll, select, pselect, epoll_wait, epoll_pwait, epoll_pwait2, and of epoll_ctl. While nothing is
 * held back (loop.h) they count what is waited for, and no more. Else a wait is cut at the time of what is held back next, and
 * goes on when that has been let go; the program sees one wait.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/readable.h"
#include "src/preload/socket/loop.h"

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS     UINT64_C(1000000)
/* In a larger poll nothing is held back. */
#define POLL_MAX 256
/* What a look at a connection takes in a loop whose waits are not seen, while that is held back. */
#define DOZE_NS  (1 * MS_NS)
#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)

static bool anything_held(void)
{
	return __builtin_expect(atomic_load_explicit(&weir_held, memory_order_relaxed) != 0, 0);
}

/* --- Time ------------------------------------------------------------------------------------------------------------------ */

static uint64_t end_of(uint64_t span_ns)
{
	uint64_t now = weir_now_ns();

	return span_ns < WEIR_NEVER - now ? now + span_ns : WEIR_NEVER;
}

static uint64_t end_of_timespec(const struct timespec *t)
{
	if (!t || t->tv_sec < 0 || (uint64_t)t->tv_sec > UINT64_C(1) << 32)
		return WEIR_NEVER;
	return end_of((uint64_t)t->tv_sec * SECOND_NS + (uint64_t)t->tv_nsec);
}

static uint64_t left_until(uint64_t end)
{
	uint64_t now = weir_now_ns();

	return end > now ? end - now : 0;
}

/* For calls that count in milliseconds: -1 = for ever. Rounded up, as an early wake-up would be one in vain. */
static int in_ms(uint64_t end)
{
	uint64_t ms = (left_until(end) + MS_NS - 1) / MS_NS;

	return end == WEIR_NEVER ? -1 : ms < INT32_MAX ? (int)ms : INT32_MAX;
}

static const struct timespec *in_timespec(uint64_t end, struct timespec *t)
{
	uint64_t left = left_until(end);

	*t = (struct timespec){.tv_sec = (time_t)(left / SECOND_NS), .tv_nsec = (long)(left % SECOND_NS)};
	return end == WEIR_NEVER ? NULL : t;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Whether a wait that has ended without an event goes on: it was cut for the sake of what is held back. */
static bool goes_on(int answer, uint64_t cut, uint64_t end)
{
	return answer == 0 && cut < end && weir_now_ns() < end;
}

/* --- epoll ----------------------------------------------------------------------------------------------------------------- */

/* What is held back is not to be told writable, whatever the program asks for meanwhile. */
__attribute__((noinline)) static int control(int ep, int op, int fd, struct epoll_event *event)
{
	const struct weir_libc *libc = weir_libc();
	struct epoll_event changed = *event;
	struct weir_record *r = weir_record_take(fd);
	int answer;

	if (r && r->held && r->held_fd == fd)
		changed.events &= ~(uint32_t)EPOLLOUT;
	answer = libc->epoll_ctl(ep, op, fd, &changed);
	if (answer == 0)
		weir_loop_watched(fd, ep, event->events, event->data.u64);
	if (r)
		weir_record_put(r);
	return answer;
}

WEIR_HOOK int epoll_ctl(int ep, int op, int fd, struct epoll_event *event)
{
	const struct weir_libc *libc = weir_libc();
	bool puts = op == EPOLL_CTL_ADD || op == EPOLL_CTL_MOD;
	int answer;

	if (!libc->epoll_ctl)
		return (int)syscall(SYS_epoll_ctl, ep, op, fd, event);
	if (puts && anything_held() && weir_loop_holds(fd) && weir_readable(event, sizeof *event))
		return control(ep, op, fd, event);
	answer = libc->epoll_ctl(ep, op, fd, event);
	/* The kernel has read what it was given. */
	if (answer == 0 && puts)
		weir_loop_watched(fd, ep, event->events, event->data.u64);
	else if (answer == 0)
		weir_loop_watched(fd, -1, 0, 0);
	return answer;
}

struct epoll_call {
	int ep;
	struct epoll_event *events;
	int room;
	const sigset_t *mask;
	bool masked, fine; /* epoll_pwait, epoll_pwait2 */
};

static int epoll_once(const struct epoll_call *c, uint64_t end)
{
	const struct weir_libc *libc = weir_libc();
	struct timespec t;

	if (c->fine)
		return libc->epoll_pwait2(c->ep, c->events, c->room, in_timespec(end, &t), c->mask);
	if (c->masked)
		return libc->epoll_pwait(c->ep, c->events, c->room, in_ms(end), c->mask);
	return libc->epoll_wait(c->ep, c->events, c->room, in_ms(end));
}

static int epoll_held(const struct epoll_call *c, uint64_t end)
{
	int answer;
	uint64_t cut;

	do {
		cut = weir_loop_release(c->ep, NULL, NULL);
		answer = epoll_once(c, sooner(cut, end));
	} while (goes_on(answer, cut, end));
	return answer;
}

WEIR_HOOK int epoll_wait(int ep, struct epoll_event *events, int room, int timeout)
{
	const struct epoll_call c = {.ep = ep, .events = events, .room = room};
	const struct weir_libc *libc = weir_libc();
	int answer, saved = errno;

	if (!libc->epoll_wait)
		return (int)syscall(SYS_epoll_pwait, ep, events, room, timeout, NULL, 8);
	weir_loop_wait_begin(ep);
	if (anything_held()) {
		uint64_t end = timeout < 0 ? WEIR_NEVER : end_of((uint64_t)timeout * MS_NS);

		answer = epoll_held(&c, end);
		if (answer >= 0)
			errno = saved;
	} else {
		answer = libc->epoll_wait(ep, events, room, timeout);
	}
	weir_loop_wait_end(ep);
	return answer;
}

WEIR_HOOK int epoll_pwait(int ep, struct epoll_event *events, int room, int timeout, const sigset_t *mask)
{
	const struct epoll_call c = {.ep = ep, .events = events, .room = room, .mask = mask, .masked = true};
	const struct weir_libc *libc = weir_libc();
	int answer;

	if (!libc->epoll_pwait)
		return (int)syscall(SYS_epoll_pwait, ep, events, room, timeout, mask, 8);
	weir_loop_wait_begin(ep);
	if (anything_held())
		answer = epoll_held(&c, timeout < 0 ? WEIR_NEVER : end_of((uint64_t)timeout * MS_NS));
	else
		answer = libc->epoll_pwait(ep, events, room, timeout, mask);
	weir_loop_wait_end(ep);
	return answer;
}

WEIR_HOOK int epoll_pwait2(int ep, struct epoll_event *events, int room, const struct timespec *timeout, const sigset_t *mask)
{
	const struct epoll_call c = {.ep = ep, .events = events, .room = room, .mask = mask, .fine = true};
	const struct weir_libc *libc = weir_libc();
	int answer;

	if (!libc->epoll_pwait2) {
		errno = ENOSYS;
		return -1;
	}
	weir_loop_wait_begin(ep);
	if (anything_held() && (!timeout || weir_readable(timeout, sizeof *timeout)))
		answer = epoll_held(&c, end_of_timespec(timeout));
	else
		answer = libc->epoll_pwait2(ep, events, room, timeout, mask);
	weir_loop_wait_end(ep);
	return answer;
}

/* --- poll ------------------------------------------------------------------------------------------------------------------ */

struct poll_set {
	struct pollfd *fds;
	nfds_t count;
};

static unsigned connections_in(const struct poll_set *s)
{
	unsigned n = 0;

	for (nfds_t i = 0; s->fds && i < s->count && s->count <= POLL_MAX; i++)
		n += weir_is_marked(s->fds[i].fd);
	return n;
}

static void note_poll(const struct poll_set *s, bool waits)
{
	unsigned connections = connections_in(s);

	if (!waits && s->count == 1 && connections == 1)
		weir_loop_glances(s->fds[0].fd);
	else
		weir_loop_polls(connections);
}

/* After the call: the kernel has read them, but for where it says that it could or would not. */
static int polled(const struct poll_set *s, int answer, bool waits)
{
	if (answer >= 0 || errno == EINTR)
		note_poll(s, waits);
	else
		weir_loop_polls(0);
	return answer;
}

static bool is_poll_held(const struct poll_set *s)
{
	return anything_held() && s->count <= POLL_MAX && s->fds && weir_readable(s->fds, s->count * sizeof *s->fds);
}

static bool is_polled(int fd, const void *of)
{
	const struct poll_set *s = of;

	for (nfds_t i = 0; i < s->count; i++) {
		if (s->fds[i].fd == fd)
			return true;
	}
	return false;
}

/* One wait, with what is held back taken out of it. The program's array is as it was afterwards. */
__attribute__((noinline)) static int poll_once(struct poll_set *s, uint64_t end, const sigset_t *mask, bool masked)
{
	const struct weir_libc *libc = weir_libc();
	short asked[POLL_MAX];
	struct timespec t;
	int answer;

	for (nfds_t i = 0; i < s->count; i++) {
		asked[i] = s->fds[i].events;
		if (weir_is_marked(s->fds[i].fd) && weir_loop_holds(s->fds[i].fd))
			s->fds[i].events = (short)(asked[i] & ~WRITABLE);
	}
	answer = masked ? libc->ppoll(s->fds, s->count, in_timespec(end, &t), mask) : libc->poll(s->fds, s->count, in_ms(end));
	for (nfds_t i = 0; i < s->count; i++)
		s->fds[i].events = asked[i];
	return answer;
}

static int poll_held(struct poll_set *s, uint64_t end, const sigset_t *mask, bool masked)
{
	int answer;
	uint64_t cut;

	do {
		cut = weir_loop_release(-1, is_polled, s);
		answer = poll_once(s, sooner(cut, end), mask, masked);
	} while (goes_on(answer, cut, end));
	return answer;
}

WEIR_HOOK int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	const struct weir_libc *libc = weir_libc();
	struct poll_set s = {fds, count};
	uint64_t end;

	if (!libc->poll)
		return (int)syscall(
			SYS_ppoll, fds, count,
			in_timespec(timeout < 0 ? WEIR_NEVER : end_of((uint64_t)timeout * MS_NS), &(struct timespec){0}), NULL,
			8);
	if (!is_poll_held(&s))
		return polled(&s, libc->poll(fds, count, timeout), timeout != 0);
	note_poll(&s, timeout != 0);
	end = timeout < 0 ? WEIR_NEVER : end_of((uint64_t)timeout * MS_NS);
	if (timeout == 0 && count == 1 && weir_loop_may_doze(fds[0].fd))
		end = end_of(DOZE_NS);
	return poll_held(&s, end, NULL, false);
}

WEIR_HOOK int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	const struct weir_libc *libc = weir_libc();
	struct poll_set s = {fds, count};

	if (!libc->ppoll) {
		errno = ENOSYS;
		return -1;
	}
	if (!is_poll_held(&s) || (timeout && !weir_readable(timeout, sizeof *timeout)))
		return polled(&s, libc->ppoll(fds, count, timeout, mask), true);
	note_poll(&s, true);
	return poll_held(&s, end_of_timespec(timeout), mask, true);
}

/* --- select ---------------------------------------------------------------------------------------------------------------- */

struct select_set {
	int count;
	fd_set *in, *out, *other;
};

static bool is_in(int fd, int count, const fd_set *s)
{
	return s && fd < count && fd < FD_SETSIZE && FD_ISSET(fd, s);
}

static bool set_is_readable(const fd_set *set, size_t bytes)
{
	return !set || weir_readable(set, bytes);
}

/* Looked at where there are connections of ours at all. The kernel reads whole longs. */
static unsigned connections_selected(const struct select_set *s)
{
	const size_t bytes = ((size_t)(s->count > 0 ? s->count : 0) + 63) / 64 * 8;
	bool looked = false;
	unsigned n = 0;

	for (int fd = 0; fd < s->count && s->count <= FD_SETSIZE; fd++) {
		if (!weir_is_marked(fd))
			continue;
		if (!looked && (!set_is_readable(s->in, bytes) || !set_is_readable(s->out, bytes)))
			return 0;
		looked = true;
		n += is_in(fd, s->count, s->in) || is_in(fd, s->count, s->out);
	}
	return n;
}

static bool is_selected(int fd, const void *of)
{
	const struct select_set *s = of;

	return is_in(fd, s->count, s->out);
}

static fd_set *copy(const fd_set *from, fd_set *to)
{
	if (from)
		*to = *from;
	return from ? to : NULL;
}

/* One wait, on copies, without what is held back. What it finds goes to *found. */
__attribute__((noinline)) static int select_once(const struct select_set *s, uint64_t end, const sigset_t *mask, fd_set found[3])
{
	struct timespec t;

	for (int fd = 0; s->out && fd < s->count; fd++) {
		if (FD_ISSET(fd, s->out) && weir_is_marked(fd) && weir_loop_holds(fd))
			FD_CLR(fd, &found[1]);
	}
	return weir_libc()->pselect(s->count, s->in ? &found[0] : NULL, s->out ? &found[1] : NULL, s->other ? &found[2] : NULL,
				    in_timespec(end, &t), mask);
}

__attribute__((noinline)) static int select_held(const struct select_set *s, uint64_t end, const sigset_t *mask)
{
	fd_set found[3];
	uint64_t cut;
	int answer;

	memset(found, 0, sizeof found);
	do {
		copy(s->in, &found[0]);
		copy(s->out, &found[1]);
		copy(s->other, &found[2]);
		cut = weir_loop_release(-1, is_selected, s);
		answer = select_once(s, sooner(cut, end), mask, found);
	} while (goes_on(answer, cut, end));
	if (answer < 0)
		return answer;
	copy(s->in ? &found[0] : NULL, s->in);
	copy(s->out ? &found[1] : NULL, s->out);
	copy(s->other ? &found[2] : NULL, s->other);
	return answer;
}

/* Sets as large as the program has made them are none of fd_set's. */
static bool is_held(const struct select_set *s, const void *timeout)
{
	return anything_held() && s->count <= FD_SETSIZE && weir_libc()->pselect && set_is_readable(s->in, sizeof *s->in) &&
	       set_is_readable(s->out, sizeof *s->out) && set_is_readable(s->other, sizeof *s->other) &&
	       (!timeout || weir_readable(timeout, sizeof(struct timespec)));
}

/* Linux leaves in *timeout what is left of it. */
static int select_for(const struct select_set *s, struct timeval *timeout)
{
	uint64_t end = WEIR_NEVER, left;
	int answer;

	if (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0)) {
		errno = EINVAL;
		return -1;
	}
	if (timeout)
		end = end_of((uint64_t)timeout->tv_sec * SECOND_NS + (uint64_t)timeout->tv_usec * 1000);
	answer = select_held(s, end, NULL);
	left = left_until(end);
	if (timeout)
		*timeout = (struct timeval){.tv_sec = (time_t)(left / SECOND_NS), .tv_usec = (long)(left % SECOND_NS) / 1000};
	return answer;
}

WEIR_HOOK int select(int count, fd_set *restrict in, fd_set *restrict out, fd_set *restrict other,
		     struct timeval *restrict timeout)
{
	const struct select_set s = {count, in, out, other};
	const struct weir_libc *libc = weir_libc();

	if (!libc->select) {
		errno = ENOSYS;
		return -1;
	}
	weir_loop_polls(connections_selected(&s));
	return is_held(&s, timeout) ? select_for(&s, timeout) : libc->select(count, in, out, other, timeout);
}

WEIR_HOOK int pselect(int count, fd_set *restrict in, fd_set *restrict out, fd_set *restrict other,
		      const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
	const struct select_set s = {count, in, out, other};
	const struct weir_libc *libc = weir_libc();

	if (!libc->pselect) {
		errno = ENOSYS;
		return -1;
	}
	weir_loop_polls(connections_selected(&s));
	return is_held(&s, timeout) ? select_held(&s, end_of_timespec(timeout), mask)
				    : libc->pselect(count, in, out, other, timeout, mask);
}
