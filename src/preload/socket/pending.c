/* SPDX-License-Identifier: MIT */
#include "src/preload/core/hook.h"
#include "src/preload/socket/pending.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "src/preload/core/attach.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/paid.h"
#include "src/preload/socket/tcp_state.h"

#include "weir/kernel.h"

#define PLACES         512 /* a power of two */
#define PROBES         8   /* places looked at for one descriptor */
#define SWEEP_AT_ONCE  32
#define SWEEP_EVERY_NS UINT64_C(1000000)
/* A connect that is given up sooner than this was the loser of a race between addresses; later, it took the program too long. */
#define GIVEN_UP_NS UINT64_C(1000000000)

/* Whoever moves an entry to TAKEN has it for itself. TELLING: settled as failed, and kept until the program has been told, so
 * that the connect call that tells it is not taken for a new attempt. */
enum { FREE = 0, TAKEN, UNDER_WAY, TELLING };

struct pending {
	_Atomic uint32_t state;
	_Atomic int fd;
	uint64_t identity;
	struct weir_attempt attempt;
	struct weir_request request;
};

static struct pending table[PLACES];
static _Atomic uint32_t cursor;
static _Atomic uint64_t swept_ns;
WEIR_EARLY _Atomic uint32_t weir_pending_count;

/* What an errno of connect says: failed, or nothing (the program's own doing). */
static enum weir_outcome outcome_of(int error)
{
	switch (error) {
	case 0:
		return WEIR_SUCCEEDED;
	case ECONNREFUSED:
	case ETIMEDOUT:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
		return WEIR_FAILED;
	default:
		return WEIR_IGNORED;
	}
}

void weir_connect_settle(const struct weir_gate *g, struct weir_request *r, const struct weir_attempt *attempt, int error,
			 uint64_t latency_ns)
{
	struct weir_result result = {
		.outcome = outcome_of(error), .timed_out = error == ETIMEDOUT, .latency_ns = latency_ns, .connections = 1};

	result.here = result.outcome == WEIR_FAILED && weir_address_is_here(attempt->to);
	if (result.outcome == WEIR_FAILED && attempt->next_host != 0) {
		weir_paid_leave(attempt->next_host, attempt->address);
		/* The attempts at a host's addresses are one: the last of them counts. */
		if (weir_gate_leave(g, r))
			return;
		result.outcome = WEIR_IGNORED;
	}
	weir_gate_settle(g, r, &result, weir_now_ns());
}

/* The gate, if what stands in the table is this process's. A vfork child runs in its parent's memory, and closes descriptors
 * there that its parent goes on using. */
static const struct weir_gate *own_gate(void)
{
	const struct weir_gate *g = weir_attached();

	return g && g->owner.pid == (uint32_t)weir_getpid() ? g : NULL;
}

static bool take(struct pending *p, uint32_t state)
{
	return atomic_compare_exchange_strong_explicit(&p->state, &state, TAKEN, memory_order_acquire, memory_order_relaxed);
}

static void put(struct pending *p, uint32_t state)
{
	atomic_store_explicit(&p->state, state, memory_order_release);
	if (state == FREE)
		atomic_fetch_sub_explicit(&weir_pending_count, 1, memory_order_relaxed);
}

/* Takes what stands for fd in the table; *was is the state to put it back in. */
static struct pending *take_fd(int fd, uint32_t *was)
{
	for (unsigned i = 0; i < PROBES; i++) {
		struct pending *p = &table[((unsigned)fd + i) & (PLACES - 1)];

		*was = atomic_load_explicit(&p->state, memory_order_relaxed);
		if ((*was != UNDER_WAY && *was != TELLING) || atomic_load_explicit(&p->fd, memory_order_relaxed) != fd)
			continue;
		if (!take(p, *was))
			continue;
		if (atomic_load_explicit(&p->fd, memory_order_relaxed) == fd)
			return p;
		atomic_store_explicit(&p->state, *was, memory_order_release);
	}
	return NULL;
}

static void settle(const struct weir_gate *g, struct pending *p, int error)
{
	int fd = atomic_load_explicit(&p->fd, memory_order_relaxed);
	uint64_t latency = 0;

	/* Nobody knows when the program's next hook comes; the kernel knows when the handshake was over. */
	if (error == 0)
		latency = weir_tcp_handshake_ns(fd, weir_now_ns() - p->request.admitted_ns);
	if (error == 0 && weir_conversation_connected(g, fd, &p->request, false, latency))
		return;
	weir_connect_settle(g, &p->request, &p->attempt, error, latency);
}

static bool forgotten(const struct pending *p)
{
	return weir_socket_identity(atomic_load_explicit(&p->fd, memory_order_relaxed)) != p->identity;
}

/* Settles what the socket itself says. Returns the state to put the entry in. */
static uint32_t look(const struct weir_gate *g, struct pending *p)
{
	if (forgotten(p)) {
		settle(g, p, ECANCELED); /* closed unseen: nobody knows any more */
		return FREE;
	}
	switch (weir_tcp_state(atomic_load_explicit(&p->fd, memory_order_relaxed))) {
	case WEIR_TCP_CONNECTING:
		return UNDER_WAY;
	case WEIR_TCP_CONNECTED:
		settle(g, p, 0);
		return FREE;
	case WEIR_TCP_FAILED:
		settle(g, p, ECONNREFUSED);
		return TELLING;
	default:
		settle(g, p, ECANCELED);
		return FREE;
	}
}

static void fill(const struct weir_gate *g, struct pending *p, int fd, uint64_t identity, const struct weir_request *request,
		 const struct weir_attempt *attempt)
{
	uint32_t state;

	atomic_store_explicit(&p->fd, fd, memory_order_relaxed);
	p->identity = identity;
	p->request = *request;
	p->attempt = *attempt;
	state = look(g, p);
	if (state == UNDER_WAY)
		weir_gate_release_permits(g, &p->request);
	put(p, state);
}

/* A place for fd: a free one, else one whose connect has failed long ago and whose program does not care. */
static struct pending *take_place(int fd)
{
	for (unsigned i = 0; i < PROBES; i++) {
		struct pending *p = &table[((unsigned)fd + i) & (PLACES - 1)];

		if (take(p, FREE)) {
			atomic_fetch_add_explicit(&weir_pending_count, 1, memory_order_relaxed);
			return p;
		}
	}
	for (unsigned i = 0; i < PROBES; i++) {
		struct pending *p = &table[((unsigned)fd + i) & (PLACES - 1)];

		if (take(p, TELLING))
			return p;
	}
	return NULL;
}

/* Nothing more will be heard of it. */
static __attribute__((noinline)) void settle_unknown(const struct weir_gate *g, struct weir_request *request)
{
	struct weir_result unknown = {.outcome = WEIR_IGNORED, .connections = 1};

	weir_gate_settle(g, request, &unknown, weir_now_ns());
}

static __attribute__((noinline)) void settle_copy(const struct weir_gate *g, const struct weir_request *request)
{
	struct weir_request copy = *request;

	settle_unknown(g, &copy);
}

void weir_pending_add(const struct weir_gate *g, int fd, const struct weir_request *request, const struct weir_attempt *attempt)
{
	uint64_t identity = weir_socket_identity(fd);
	struct pending *p;
	uint32_t was;

	p = take_fd(fd, &was); /* left by a descriptor of this number that was closed unseen */
	if (p) {
		if (was == UNDER_WAY)
			settle(g, p, ECANCELED);
		put(p, FREE);
	}
	p = identity != 0 ? take_place(fd) : NULL;
	if (p)
		fill(g, p, fd, identity, request, attempt);
	else
		settle_copy(g, request);
}

bool weir_pending_has(int fd)
{
	uint32_t was;
	struct pending *p = own_gate() ? take_fd(fd, &was) : NULL;
	bool same;

	if (!p)
		return false;
	same = !forgotten(p);
	put(p, was);
	return same;
}

void weir_pending_told(int fd, int error)
{
	const struct weir_gate *g = own_gate();
	uint32_t was;
	struct pending *p = g ? take_fd(fd, &was) : NULL;

	if (!p)
		return;
	if (forgotten(p)) {
		put(p, was);
	} else if (was == TELLING) {
		put(p, FREE);
	} else if (error == 0 || error == EALREADY || error == EINPROGRESS || error == EINTR || error == EAGAIN) {
		put(p, look(g, p));
	} else {
		settle(g, p, error == EISCONN ? 0 : error);
		put(p, FREE);
	}
}

/* The program gives up: what that means depends on how long it has waited. */
static void settle_last(const struct weir_gate *g, struct pending *p)
{
	uint64_t now = weir_now_ns();

	if (look(g, p) != UNDER_WAY)
		return;
	if (now - p->request.admitted_ns >= GIVEN_UP_NS)
		settle(g, p, ETIMEDOUT);
	else
		settle(g, p, ECANCELED);
}

void weir_pending_closing(int fd)
{
	const struct weir_gate *g = own_gate();
	uint32_t was;
	struct pending *p = g ? take_fd(fd, &was) : NULL;

	if (!p)
		return;
	if (was == UNDER_WAY)
		settle_last(g, p);
	put(p, FREE);
}

void weir_pending_sweep(void)
{
	const struct weir_gate *g = weir_attached();
	uint64_t now = weir_now_ns(), last = atomic_load_explicit(&swept_ns, memory_order_relaxed);
	uint32_t looked = 0;

	if (!g || now - last < SWEEP_EVERY_NS ||
	    !atomic_compare_exchange_strong_explicit(&swept_ns, &last, now, memory_order_relaxed, memory_order_relaxed) ||
	    g->owner.pid != (uint32_t)weir_getpid())
		return;
	for (unsigned i = 0; i < PLACES && looked < SWEEP_AT_ONCE; i++) {
		struct pending *p = &table[atomic_fetch_add_explicit(&cursor, 1, memory_order_relaxed) & (PLACES - 1)];

		uint32_t was = atomic_load_explicit(&p->state, memory_order_relaxed);

		if ((was != UNDER_WAY && was != TELLING) || !take(p, was))
			continue;
		looked++;
		put(p, was == UNDER_WAY ? look(g, p) : forgotten(p) ? FREE : TELLING);
	}
}

static void finish(void)
{
	const struct weir_gate *g = weir_pending_any() ? own_gate() : NULL;

	if (!g)
		return;
	for (unsigned i = 0; i < PLACES; i++) {
		if (!take(&table[i], UNDER_WAY))
			continue;
		settle_last(g, &table[i]);
		put(&table[i], FREE);
	}
}

static void forget(void)
{
	for (unsigned i = 0; weir_pending_any() && i < PLACES; i++)
		atomic_store_explicit(&table[i].state, FREE, memory_order_relaxed);
	atomic_store_explicit(&weir_pending_count, 0, memory_order_relaxed);
}

/* While nothing is under way a sweep costs a load. */
static void sweep(void)
{
	if (weir_pending_any())
		weir_pending_sweep();
}

const struct weir_room weir_pending_room = {.forget = forget, .sweep = sweep, .finish = finish};
