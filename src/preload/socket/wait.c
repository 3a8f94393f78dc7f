/* SPDX-License-Identifier: MIT */
/*
 * What is sent first, and each request after it, waits here for its turn.
 *
 * While a thread waits in place the request is its own (core/flight.h): it may jump out, or the socket may be closed meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/readable.h"
#include "src/preload/core/tell.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/exchange.h"
#include "src/preload/socket/loop.h"
#include "src/preload/socket/pending.h"
#include "src/preload/socket/proof.h"
#include "src/preload/socket/record.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/opaque.h"

/* Bytes of a head that comes in pieces are looked at together. */
#define GATHERED 512
/* And so many at most of one that comes in one piece. */
#define HEAD_MAX 65536

__attribute__((noinline)) static void tell_refused(const struct weir_gate *g, const struct weir_record *r)
{
	char text[256];

	if (!weir_log_on(WEIR_LOG_INFO))
		return;
	weir_gate_describe(g, &r->next, r->host_port, weir_now_ns(), text, sizeof text);
	weir_tell_refused("request", text);
}

/* An error alone, with the socket left open, makes programs wait for an answer for ever; and a TLS library sends the request
 * later after all. */
static void refuse(const struct weir_gate *g, struct weir_record *r, int fd)
{
	r->refused = r->next.timed_out ? ETIMEDOUT : ECONNREFUSED;
	tell_refused(g, r);
	r->next.phase = WEIR_PHASE_IDLE;
	if (weir_kernel_allows(SYS_shutdown))
		weir_syscall(SYS_shutdown, fd, SHUT_RDWR);
}

/* Gives the record back, and waits. */
static __attribute__((noinline)) void put_and_await(const struct weir_gate *g, struct weir_record *r,
						    const struct weir_flight *flight)
{
	char host_port[WEIR_HOST_PORT_MAX];

	memcpy(host_port, r->host_port, sizeof host_port);
	weir_record_put(r);
	weir_flight_alone(flight->number);
	weir_gate_await(g, flight->request, host_port);
}

/* Waits with the record given back. Returns it, taken, or NULL when it has ended meanwhile: then there is nothing left to send
 * on.
 */
__attribute__((noinline)) static struct weir_record *wait_in_place(const struct weir_gate *g, struct weir_record *r,
								   uintptr_t frame)
{
	weir_conversation name = weir_record_name(r);
	struct weir_request request;
	struct weir_flight flight;

	flight = weir_flight_begin(frame, WEIR_FLIGHT_WAIT);
	memcpy(flight.request, &r->next, weir_opaque(sizeof request));
	r->next.phase = WEIR_PHASE_IDLE;
	r->waiter = weir_thread_id();
	put_and_await(g, r, &flight);
	if (!weir_flight_end(&flight, &request))
		request.phase = WEIR_PHASE_OVER;
	r = weir_record_take_kept(name);
	if (r && r->asked && r->next.phase == WEIR_PHASE_IDLE) {
		memcpy(&r->next, &request, weir_opaque(sizeof request));
		r->waiter = 0;
		return r;
	}
	weir_gate_cancel(g, &request, weir_now_ns());
	return r;
}

/* What is to be sent, in one piece as far as heads go. */
static const void *gather(const struct iovec *iov, size_t parts, char *room, size_t *n)
{
	size_t all = 0;

	if (parts == 1 || (parts > 0 && iov[0].iov_len >= GATHERED)) {
		*n = iov[0].iov_len < HEAD_MAX ? iov[0].iov_len : HEAD_MAX;
		return iov[0].iov_base;
	}
	for (size_t i = 0; i < parts && all < GATHERED; i++) {
		size_t some = iov[i].iov_len < GATHERED - all ? iov[i].iov_len : GATHERED - all;

		memcpy(room + all, iov[i].iov_base, some);
		all += some;
	}
	*n = all;
	return room;
}

__attribute__((noinline)) static enum weir_verdict begin(const struct weir_gate *g, struct weir_record *r,
							 const struct iovec *iov, size_t parts)
{
	char room[GATHERED];
	size_t n;
	const void *bytes = gather(iov, parts, room, &n);

	return weir_exchange_begin(g, r, bytes, n);
}

/* The number has been closed behind our back, and is somebody else's by now. */
static bool is_stranger(const struct weir_record *r, int fd)
{
	return weir_socket_identity(fd) != r->identity;
}

static bool nothing_to_send(const struct iovec *iov, size_t parts)
{
	for (size_t i = 0; i < parts; i++) {
		if (iov[i].iov_len > 0)
			return false;
	}
	return true;
}

/* A program that blocks says by a time-out of its socket, or by an alarm, how long. */
static void heed_patience(struct weir_record *r, int fd)
{
	uint64_t patience = weir_socket_patience_ns(fd), now = weir_now_ns();

	if (patience == 0)
		return;
	r->next.hurried = true;
	if (patience < r->next.latest_ns - now)
		r->next.latest_ns = now + patience;
}

/* The next request's turn, for the thread that is about to send it. Gives the record back. */
static enum weir_leave ask(const struct weir_gate *g, struct weir_record *r, int fd, const struct iovec *iov, size_t parts,
			   bool dont_wait, bool unproved, uintptr_t frame)
{
	enum weir_leave leave = WEIR_LEAVE_GO;
	uint64_t wake = 0;

	/* This thread has jumped out of a wait. */
	if (r->asked && r->next.phase == WEIR_PHASE_IDLE && r->waiter == weir_thread_id()) {
		r->asked = false;
		r->written = 0;
	}
	if (weir_exchange_is_due(r, iov, parts)) {
		r->unproved = unproved;
		begin(g, r, iov, parts);
		r->unproved &= r->next.phase == WEIR_PHASE_ADMITTED && !r->next.has_units && r->next.ticket.probe == 0;
	}
	if (unproved && !r->unproved) {
		r->unproved = true;
		if (!weir_proof_holds(g, r, fd)) {
			weir_record_put(r);
			weir_conversation_closing(fd);
			return WEIR_LEAVE_GO;
		}
	}
	if (r->asked && r->next.phase == WEIR_PHASE_WAITING)
		weir_gate_look(g, &r->next, weir_now_ns(), &wake);
	if (r->asked && r->next.phase == WEIR_PHASE_WAITING) {
		bool blocks = !dont_wait && (weir_flags_of(fd) & O_NONBLOCK) == 0;

		if (!blocks && weir_loop_hold(r, fd, wake)) {
			weir_record_put(r);
			errno = EAGAIN;
			return WEIR_LEAVE_REFUSED;
		}
		if (blocks)
			heed_patience(r, fd);
		r = wait_in_place(g, r, frame);
	}
	if (!r)
		return WEIR_LEAVE_GO;
	weir_loop_let_go(r);
	weir_exchange_goes(g, r);
	if (r->asked && r->next.phase == WEIR_PHASE_REFUSED) {
		refuse(g, r, fd);
		errno = r->refused;
		leave = WEIR_LEAVE_REFUSED;
	}
	weir_record_put(r);
	return leave;
}

enum weir_leave weir_conversation_sending(int fd, const struct iovec *iov, size_t parts, bool dont_wait)
{
	struct weir_record *r = weir_record_peek(fd);
	const struct weir_gate *g;
	int saved = errno;
	enum weir_leave leave;
	bool unproved;

	if (!r || weir_disabled() || nothing_to_send(iov, parts) || weir_flight_in_leaf(WEIR_FRAME))
		return WEIR_LEAVE_GO;
	g = weir_attach();
	if (g && weir_pending_any() && atomic_load_explicit(&r->talk, memory_order_relaxed) == WEIR_TALK_OPENING)
		weir_pending_told(fd, EALREADY);
	r = g ? weir_record_take(fd) : NULL;
	if (r && r->refused != 0) {
		errno = r->refused;
		weir_record_put(r);
		return WEIR_LEAVE_REFUSED;
	}
	unproved = r && weir_proof_can_wait(r, iov, parts);
	if (r && weir_exchange_may_begin(r) && !weir_readable_parts(iov, parts, HEAD_MAX)) {
		weir_record_put(r);
		errno = saved;
		return WEIR_LEAVE_GO;
	}
	if (r && !unproved && weir_exchange_is_due(r, iov, parts) && is_stranger(r, fd)) {
		weir_record_put(r);
		weir_conversation_closing(fd);
		r = NULL;
	}
	leave = r ? ask(g, r, fd, iov, parts, dont_wait, unproved, WEIR_FRAME) : WEIR_LEAVE_GO;
	if (leave == WEIR_LEAVE_GO)
		errno = saved;
	return leave;
}
