/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/conversation.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "src/preload/core/attach.h"
#include "src/preload/socket/exchange.h"
#include "src/preload/socket/loop.h"
#include "src/preload/socket/pending.h"
#include "src/preload/socket/proof.h"
#include "src/preload/socket/record.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/kernel.h"
#include "weir/opaque.h"

/* What is sent first goes on the unit of its connect when it follows so soon. Later it takes a unit of its own: connections that
 * were opened at leisure must not be used all at once. */
#define FRESH_NS UINT64_C(1000000000)

/* Whether this is a child of vfork, which runs in its parent's memory. Where there is no gate this process has marked nothing, or
 * it is a child of fork, whose memory is its own. */
static bool is_guest(const struct weir_gate *g)
{
	return g && g->owner.pid != (uint32_t)weir_getpid();
}

static bool talk_is_opening(const struct weir_record *r)
{
	return weir_talk_of(r) == WEIR_TALK_OPENING;
}

/* The last name has gone. */
static void end(const struct weir_gate *g, struct weir_record *r)
{
	weir_loop_let_go(r);
	weir_exchange_end(g, r);
	weir_record_free(r);
}

static void drop(const struct weir_gate *g, int fd)
{
	struct weir_record *r = weir_record_take(fd);

	if (r)
		weir_proof_holds(g, r, fd);
	if (!r)
		atomic_store_explicit(&weir_mark[fd], WEIR_MARK_NONE, memory_order_relaxed);
	else if (weir_record_unmark(r, fd))
		end(g, r);
	else
		weir_record_put(r);
}

bool weir_conversation_open(int fd, const char *host_port, uint16_t port, bool here)
{
	uint64_t identity = weir_socket_identity(fd);
	struct weir_record *r;

	if ((unsigned)fd >= WEIR_MARKS || identity == 0)
		return false;
	if (weir_is_marked(fd))
		drop(weir_attached(), fd);
	r = weir_record_claim(fd);
	if (!r)
		return false;
	r->identity = identity;
	r->port = port;
	r->here = here;
	r->connections = 1;
	memcpy(r->host_port, host_port, strnlen(host_port, sizeof r->host_port - 1) + 1);
	weir_record_put(r);
	return true;
}

bool weir_conversation_connected(const struct weir_gate *g, int fd, const struct weir_request *request, bool has_unit,
				 uint64_t handshake_ns)
{
	struct weir_record *r = weir_record_take(fd);
	uint64_t now = weir_now_ns();

	if (!r)
		return false;
	if (r->opened.phase != WEIR_PHASE_IDLE || weir_socket_identity(fd) != r->identity) {
		weir_record_put(r);
		return false;
	}
	memcpy(&r->opened, request, weir_opaque(sizeof r->opened));
	/* Until it is known what the connection is for, nobody promises to end it soon. */
	if (!has_unit)
		weir_gate_release_permits(g, &r->opened);
	r->has_unit = has_unit;
	r->put_off = weir_tcp_state(fd) == WEIR_TCP_FRESH;
	r->fresh_until_ns = now + FRESH_NS;
	r->handshake_ns = handshake_ns != 0 ? handshake_ns : now > request->admitted_ns ? now - request->admitted_ns : 1;
	weir_record_put(r);
	return true;
}

static void mark_as(int fd, uint16_t mark)
{
	const struct weir_gate *g = weir_attached();

	if ((unsigned)fd >= WEIR_MARKS || is_guest(g))
		return;
	if (weir_is_marked(fd))
		drop(g, fd);
	atomic_store_explicit(&weir_mark[fd], mark, memory_order_relaxed);
}

void weir_conversation_none(int fd)
{
	mark_as(fd, WEIR_MARK_NONE);
}

void weir_conversation_unknown(int fd)
{
	mark_as(fd, 0);
}

bool weir_conversation_is_put_off(int fd)
{
	struct weir_record *r = weir_is_marked(fd) ? weir_record_take(fd) : NULL;
	bool put_off = r && r->put_off && talk_is_opening(r) && weir_socket_identity(fd) == r->identity;

	if (r)
		weir_record_put(r);
	return put_off;
}

void weir_conversation_ending(int fd)
{
	const struct weir_gate *g = weir_attached();
	struct weir_record *r = is_guest(g) ? NULL : weir_record_take(fd);

	if (!r)
		return;
	/* Under its other names it may be connected anew as well. */
	for (int other = 0; other < WEIR_MARKS; other++) {
		if (weir_record_peek(other) == r && other != fd && !weir_record_unmark(r, other))
			atomic_store_explicit(&weir_mark[other], 0, memory_order_relaxed);
	}
	weir_record_put(r);
	weir_conversation_closing(fd);
}

void weir_conversation_copied(int fd, int copy)
{
	const struct weir_gate *g = weir_attached();
	struct weir_record *r;

	if (is_guest(g) || fd == copy)
		return;
	if (weir_is_marked(copy))
		drop(g, copy);
	if ((unsigned)fd >= WEIR_MARKS || (unsigned)copy >= WEIR_MARKS)
		return;
	if (!weir_is_marked(fd)) {
		atomic_store_explicit(&weir_mark[copy], atomic_load_explicit(&weir_mark[fd], memory_order_relaxed),
				      memory_order_relaxed);
		return;
	}
	r = weir_record_take(fd);
	if (!r)
		return;
	weir_record_mark(r, copy);
	weir_record_put(r);
}

void weir_conversation_closing(int fd)
{
	const struct weir_gate *g = weir_attached();

	if (is_guest(g))
		return;
	drop(g, fd);
	weir_loop_watched(fd, -1, 0, 0);
}

weir_conversation weir_conversation_on(int fd)
{
	const struct weir_record *r = weir_record_peek(fd);

	return r ? weir_record_name(r) : 0;
}

weir_conversation weir_conversation_with_random(const uint8_t random[32])
{
	weir_conversation found = 0;
	struct weir_record *r;

	for (uint32_t n = 0; found == 0 && weir_record_nth(n, &r); n++) {
		if (!r)
			continue;
		if (atomic_load_explicit(&r->talk, memory_order_relaxed) == WEIR_TALK_TLS && memcmp(r->random, random, 32) == 0)
			found = weir_record_name(r);
		weir_record_put(r);
	}
	return found;
}

/* --- Plain text ------------------------------------------------------------------------------------------------------------ */

void weir_conversation_plain_sending(weir_conversation c, const void *bytes, size_t n)
{
	int saved = errno;
	const struct weir_gate *g = n > 0 ? weir_attach() : NULL;
	struct weir_record *r = g ? weir_record_take_kept(c) : NULL;

	if (r && weir_exchange_plain_is_due(r))
		weir_exchange_begin(g, r, bytes, n);
	if (r)
		weir_record_put(r);
	errno = saved;
}

#define TOLD(name, work)                                                                                                         \
	void weir_conversation_##name                                                                                            \
	{                                                                                                                        \
		int saved = errno;                                                                                               \
		const struct weir_gate *g = weir_attached();                                                                     \
		struct weir_record *r = g ? weir_record_take_kept(c) : NULL;                                                     \
                                                                                                                                 \
		if (r) {                                                                                                         \
			work;                                                                                                    \
			weir_record_put(r);                                                                                      \
		}                                                                                                                \
		errno = saved;                                                                                                   \
	}

TOLD(plain_sent(weir_conversation c, const void *bytes, size_t n), weir_exchange_plain_sent(g, r, bytes, n))
TOLD(plain_received(weir_conversation c, const void *bytes, size_t n), weir_exchange_plain_received(g, r, bytes, n))
TOLD(plain_closed(weir_conversation c), if (r->plain) weir_exchange_cut(g, r))

/* --- At the socket --------------------------------------------------------------------------------------------------------- */

/* With a gate, and not lost. NULL: nothing to do. */
static struct weir_record *told(const struct weir_gate *g, int fd)
{
	struct weir_record *r = g ? weir_record_peek(fd) : NULL;

	if (!r || atomic_load_explicit(&r->talk, memory_order_relaxed) == WEIR_TALK_OPAQUE)
		return NULL;
	return weir_record_take(fd);
}

static void feed(const struct weir_gate *g, struct weir_record *r, const struct iovec *iov, size_t parts, size_t taken,
		 void (*to)(const struct weir_gate *, struct weir_record *, const void *, size_t))
{
	for (size_t i = 0; i < parts && taken > 0; i++) {
		size_t some = iov[i].iov_len < taken ? iov[i].iov_len : taken;

		to(g, r, iov[i].iov_base, some);
		taken -= some;
	}
}

void weir_conversation_sent(int fd, const struct iovec *iov, size_t parts, size_t taken)
{
	int saved = errno;
	const struct weir_gate *g = weir_attached();
	struct weir_record *r = taken > 0 ? told(g, fd) : NULL;

	if (r) {
		feed(g, r, iov, parts, taken, weir_exchange_sent);
		weir_record_put(r);
	}
	errno = saved;
}

/* What a connection whose request has been sent answers; anything else may be a stranger's. */
static bool may_be_answer(const struct iovec *iov, size_t parts, size_t taken)
{
	return taken > 0 && parts > 0 && iov[0].iov_len > 0 && *(const char *)iov[0].iov_base == 'H';
}

void weir_conversation_received(int fd, const struct iovec *iov, size_t parts, size_t taken)
{
	int saved = errno;
	const struct weir_gate *g = weir_attached();
	struct weir_record *r = told(g, fd);

	if (r && r->unproved && !may_be_answer(iov, parts, taken) && !weir_proof_holds(g, r, fd)) {
		weir_record_put(r);
		weir_conversation_closing(fd);
		r = NULL;
	}
	if (r) {
		if (taken > 0)
			feed(g, r, iov, parts, taken, weir_exchange_received);
		else
			weir_exchange_cut(g, r);
		weir_record_put(r);
	}
	errno = saved;
}

void weir_conversation_failed(int fd, int error)
{
	int saved = errno;
	const struct weir_gate *g = weir_attached();
	bool cut = error == ECONNRESET || error == EPIPE || error == ETIMEDOUT || error == EHOSTUNREACH;
	bool unreached = error == ECONNREFUSED || error == ENETUNREACH;
	bool gone = error == EBADF || error == ENOTSOCK; /* closed unseen, which is nothing to the host */
	struct weir_record *r = cut || unreached || gone ? told(g, fd) : NULL;

	if (r && !weir_proof_holds(g, r, fd)) {
		weir_record_put(r);
		weir_conversation_closing(fd);
		r = NULL;
	}
	if (r) {
		bool put_off = r->put_off && !gone;

		if (put_off && talk_is_opening(r))
			weir_exchange_unreached(g, r, error);
		else if (cut || put_off) /* where what was sent first went with the handshake, that may fail behind it */
			weir_exchange_cut(g, r);
		weir_record_put(r);
	}
	errno = saved;
}

void weir_conversation_lost(int fd)
{
	int saved = errno;
	const struct weir_gate *g = weir_attached();
	struct weir_record *r = told(g, fd);

	if (r) {
		weir_exchange_lost(g, r);
		weir_record_put(r);
	}
	errno = saved;
}

/* --- Life of the process --------------------------------------------------------------------------------------------------- */

static void forget(void)
{
	struct weir_record *r;

	weir_record_release_all();
	for (uint32_t n = 0; weir_record_nth(n, &r); n++) {
		if (!r)
			continue;
		weir_loop_let_go(r);
		weir_exchange_end(NULL, r);
		r->waiter = 0;
		r->inherited = true;
		weir_record_put(r);
	}
}

static void finish(void)
{
	const struct weir_gate *g = weir_attached();
	struct weir_record *r;

	if (!g || is_guest(g))
		return;
	for (uint32_t n = 0; weir_record_nth(n, &r); n++) {
		if (!r)
			continue;
		weir_loop_let_go(r);
		weir_exchange_end(g, r);
		weir_record_put(r);
	}
}

/* A request that this thread waited for in place is nobody's. */
static void thread_over(void)
{
	struct weir_record *r;

	weir_loop_left();
	for (uint32_t n = 0; weir_record_nth(n, &r); n++) {
		if (!r)
			continue;
		if (r->asked && r->next.phase == WEIR_PHASE_IDLE && r->waiter == weir_thread_id()) {
			r->asked = false;
			r->written = 0;
			r->waiter = 0;
		}
		weir_record_put(r);
	}
}

const struct weir_room weir_conversation_room = {.thread_over = thread_over, .forget = forget, .finish = finish};
