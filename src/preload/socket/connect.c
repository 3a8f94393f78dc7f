/* SPDX-License-Identifier: MIT */
/*
 * The hook of connect. What passes over the connection is seen by other hooks (conversation.h); here the breaker and the hold are
 * asked, and a connect that fails is a failed attempt.
 *
 * A blocking connect waits in place for its unit, and what is sent first goes on it: a server is not left with a silent
 * connection. A non-blocking one never waits: the unit is taken by what is sent first.
 *
 * Data that is sent with its connect (MSG_FASTOPEN) is a connect, and then sent: as the kernel does it where it has no cookie of
 * the server. Who does not block is told EINPROGRESS, as then.
 *
 * Refused: -1 with ECONNREFUSED (breaker) or ETIMEDOUT (the wait would be too long).
 *
 * A host with several addresses: a connect that fails while other addresses of its name are left to try says nothing of the host
 * yet, and is settled as ignored; the program's next attempt goes on the same unit (paid.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/readable.h"
#include "src/preload/core/tell.h"
#include "src/preload/name/table.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/fast_open.h"
#include "src/preload/socket/paid.h"
#include "src/preload/socket/loop.h"
#include "src/preload/socket/pending.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/gate.h"
#include "weir/http.h"
#include "weir/log.h"

#define SECOND_NS UINT64_C(1000000000)
/* Linux gives up a handshake after about 127 s (tcp_syn_retries = 6). */
#define LEASE_NS (150 * SECOND_NS)
/* A non-blocking one holds no permit; what its lease keeps is a place in the table. */
#define NONBLOCKING_LEASE_NS (30 * SECOND_NS)
/* Where nothing but the connect is seen of a non-blocking socket, the program stands still while it waits, and none of its
 * time-outs run: beyond this it is better told at once. */
#define NONBLOCKING_WAIT_NS (5 * SECOND_NS)
#define PORT_DOMAIN         53

struct target {
	char host_port[WEIR_HOST_PORT_MAX];
	struct weir_attempt attempt;
	uint16_t port;
	bool paid; /* it goes on the unit that an attempt at another address of the host has left */
};

static int real_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	const struct weir_libc *libc = weir_libc();

	return libc->connect ? libc->connect(fd, address, length) : (int)syscall(SYS_connect, fd, address, length);
}

static uint64_t hash_of(struct weir_address a)
{
	uint64_t h = (a.high ^ (a.low * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xbf58476d1ce4e5b9);

	return h != 0 ? h : 1;
}

/* Whether the program has other addresses of the name to try when this one fails: later ones of the same answer, or those of the
 * other family, which programs that look up A and AAAA apart try next. Of these the first that fails is none of the host's
 * failures; the one that is tried after it, on the unit that it left, is. */
static bool others_left(const struct weir_name *name, struct weir_address address, bool paid)
{
	return name->more || (name->other_family && !paid && !weir_paid_left_by(hash_of(address)));
}

static bool find_target(struct weir_address address, uint16_t port, struct target *t)
{
	struct weir_name name;
	bool named = weir_name_recall(address, weir_thread_id(), &name);

	if (!named)
		weir_address_text(address, name.text);
	if (!weir_host_port(name.text, port, t->host_port))
		return false;
	t->paid = weir_paid_take(weir_paid_host(t->host_port));
	t->port = port;
	t->attempt.address = hash_of(address);
	t->attempt.next_host = named && others_left(&name, address, t->paid) ? weir_paid_host(t->host_port) : 0;
	t->attempt.to = address;
	return true;
}

__attribute__((noinline)) static int refuse(const struct weir_gate *g, const struct weir_request *r, const char *host_port)
{
	char text[256];

	if (weir_log_on(WEIR_LOG_INFO)) {
		weir_gate_describe(g, r, host_port, weir_now_ns(), text, sizeof text);
		weir_tell_refused("connect", text);
	}
	errno = r->timed_out ? ETIMEDOUT : ECONNREFUSED;
	return -1;
}

/* After an attempt that was admitted. EINTR: a handler ran, and the handshake goes on behind it. */
static void settle(const struct weir_gate *g, struct weir_request *r, int fd, const struct target *t, int error, bool has_unit)
{
	if (error == EINPROGRESS || error == EINTR || error == EALREADY)
		weir_pending_add(g, fd, r, &t->attempt);
	else if (error != 0 || !weir_conversation_connected(g, fd, r, has_unit, 0))
		weir_connect_settle(g, r, &t->attempt, error, 0);
}

static enum weir_verdict admit(const struct weir_gate *g, const struct weir_flight *f, const struct weir_wish *wish)
{
	uint64_t wake = 0;
	enum weir_verdict verdict = weir_gate_begin(g, f->request, wish, weir_now_ns(), &wake);

	if (verdict != WEIR_WAIT)
		return verdict;
	weir_flight_alone(f->number);
	return weir_gate_await(g, f->request, wish->host_port);
}

/* A blocking attempt, or one on a socket of which nothing more will be seen (not followed): it waits for its unit here. errno as
 * connect leaves it. */
__attribute__((noinline)) static int attempt(const struct weir_gate *g, uintptr_t frame, int fd, const struct sockaddr *address,
					     socklen_t length, const struct target *t, bool blocks, bool followed)
{
	struct weir_request request;
	struct weir_wish wish = {
		.host_port = t->host_port,
		.patience_ns = blocks ? weir_socket_patience_ns(fd) : NONBLOCKING_WAIT_NS,
		.lease_ns = blocks ? LEASE_NS : NONBLOCKING_LEASE_NS,
		/* What is under way after the call may be ended by any thread. */
		.thread = blocks ? weir_thread_id() : 0,
		.lease_hint = weir_flight_lease_hint(),
		.tentative = true,
		.asker_later = followed,
		.ahead = true,
		.paid = t->paid,
	};
	struct weir_flight flight = weir_flight_begin(frame, WEIR_FLIGHT_CONNECT);
	int answer, error, saved = errno;

	if (admit(g, &flight, &wish) == WEIR_REFUSE) {
		weir_flight_end(&flight, &request);
		return refuse(g, &request, t->host_port);
	}
	weir_tell_admitted(flight.request, t->host_port);
	errno = saved;
	answer = real_connect(fd, address, length);
	saved = errno;
	error = answer == 0 ? 0 : saved;
	if (weir_flight_end(&flight, &request))
		settle(g, &request, fd, t, error, true);
	errno = saved;
	return answer;
}

/* Whether what would be sent first had to wait for longer than a request may: then it is better not to connect. */
static bool is_hopeless(const struct weir_gate *g, const char *host_port)
{
	struct weir_forecast f;

	weir_gate_forecast(g, host_port, weir_now_ns(), &f);
	/* Whose quota it is that is spent will be seen in what is sent. */
	return f.verdict == WEIR_REFUSE && f.timed_out && f.cause != WEIR_CAUSE_QUOTA_HEADER;
}

/* A non-blocking attempt: never waits. The breaker is asked; the unit is taken, and waited for, by what is sent first. */
__attribute__((noinline)) static int attempt_now(const struct weir_gate *g, int fd, const struct sockaddr *address,
						 socklen_t length, const struct target *t)
{
	struct weir_request request;
	struct weir_wish wish = {
		.host_port = t->host_port,
		.lease_ns = NONBLOCKING_LEASE_NS,
		.lease_hint = weir_flight_lease_hint(),
		.tentative = true,
		.asker_later = true,
		.paid = g->dry_run || !is_hopeless(g, t->host_port),
	};
	uint64_t wake;
	int answer, error, saved = errno;
	enum weir_verdict verdict = weir_gate_begin(g, &request, &wish, weir_now_ns(), &wake);

	weir_loop_glances(fd);
	if (verdict == WEIR_REFUSE)
		return refuse(g, &request, t->host_port);
	if (verdict == WEIR_WAIT)
		weir_gate_leave(g, &request);
	errno = saved;
	answer = real_connect(fd, address, length);
	saved = errno;
	error = answer == 0 ? 0 : saved;
	if (request.phase == WEIR_PHASE_ADMITTED)
		settle(g, &request, fd, t, error, !wish.paid);
	errno = saved;
	return answer;
}

/* A new attempt to reach `t`. */
static int new_attempt(const struct weir_gate *g, uintptr_t frame, int fd, const struct sockaddr *address, socklen_t length,
		       const struct target *t)
{
	int saved = errno;
	bool blocks = (weir_flags_of(fd) & O_NONBLOCK) == 0;
	bool followed = weir_conversation_open(fd, t->host_port, t->port, weir_address_is_loopback(t->attempt.to));

	errno = saved;
	return blocks || !followed ? attempt(g, frame, fd, address, length, t, blocks, followed)
				   : attempt_now(g, fd, address, length, t);
}

/* A second connect on one socket is no new attempt: it tells how the first one stands. */
static int again(int fd, const struct sockaddr *address, socklen_t length)
{
	int answer = real_connect(fd, address, length), error = errno;

	weir_pending_told(fd, answer == 0 ? EISCONN : error);
	errno = error;
	return answer;
}

/* Inside a transfer, which knows what it may. */
static int inside(int fd, const struct sockaddr *address, socklen_t length, const struct weir_address *to, uint16_t port,
		  const struct weir_flight_watch *watch)
{
	const struct weir_connecting connecting = {fd, address, length, to, port};
	int saved = errno, error;

	weir_conversation_none(fd); /* also of a descriptor that was closed behind our back */
	error = watch->ask ? watch->ask(watch->data, &connecting) : 0;
	errno = error != 0 ? error : saved;
	return error != 0 ? -1 : real_connect(fd, address, length);
}

/* The socket is to be as if it had never been connected. */
static int disconnect(int fd, const struct sockaddr *nowhere, socklen_t length)
{
	int saved = errno;

	if (weir_pending_any())
		weir_pending_closing(fd);
	if (weir_is_marked(fd))
		weir_conversation_ending(fd);
	errno = saved;
	return real_connect(fd, nowhere, length);
}

static int connect_at(uintptr_t frame, const void *caller, int fd, const struct sockaddr *address, socklen_t length)
{
	struct weir_flight_watch watch;
	struct weir_address to;
	struct target target;
	const struct weir_gate *g;
	enum weir_tcp_state state;
	uint16_t port;
	int saved = errno;

	/* What is seen here need not be looked for when something is sent. */
	if (!weir_is_marked(fd))
		weir_conversation_none(fd);
	if (!weir_address_of(address, length, &to, &port) || port == PORT_DOMAIN || weir_disabled())
		return real_connect(fd, address, length);
	if (weir_flight_inside(frame, caller, &watch))
		return inside(fd, address, length, &to, port, &watch);
	state = weir_tcp_state(fd);
	if (state != WEIR_TCP_NONE && weir_pending_any() && weir_pending_has(fd)) {
		errno = saved;
		return again(fd, address, length);
	}
	if ((state == WEIR_TCP_FRESH || state == WEIR_TCP_FAILED) && !weir_conversation_is_put_off(fd) &&
	    find_target(to, port, &target)) {
		g = weir_attach();
		if (g && weir_pending_any())
			weir_pending_sweep();
		if (g && weir_host_chosen(target.host_port)) {
			errno = saved;
			return new_attempt(g, frame, fd, address, length, &target);
		}
	}
	errno = saved;
	return real_connect(fd, address, length);
}

static bool is_readable(const struct sockaddr *address, socklen_t length)
{
	return weir_readable(address, length < sizeof(struct sockaddr_in6) ? length : sizeof(struct sockaddr_in6));
}

/* Whether it says AF_UNSPEC; what the pointer leads to is for the kernel to judge where it is short. */
static bool is_nowhere(const struct sockaddr *address, socklen_t length)
{
	return address && length >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC;
}

WEIR_HOOK int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	if (!is_readable(address, length))
		return real_connect(fd, address, length);
	if ((weir_is_marked(fd) || weir_pending_any()) && is_nowhere(address, length))
		return disconnect(fd, address, length);
	return connect_at(WEIR_FRAME, __builtin_return_address(0), fd, address, length);
}

int weir_fast_open(uintptr_t frame, const void *caller, int fd, const struct sockaddr *address, socklen_t length)
{
	struct weir_address to;
	enum weir_tcp_state state;
	uint16_t port;
	int saved = errno;

	if (!is_readable(address, length) || !weir_address_of(address, length, &to, &port) || weir_disabled())
		return WEIR_FAST_AS_IT_IS;
	state = weir_tcp_state(fd);
	errno = saved;
	if (state != WEIR_TCP_FRESH && state != WEIR_TCP_FAILED)
		return WEIR_FAST_AS_IT_IS;
	return connect_at(frame, caller, fd, address, length) == 0 ? WEIR_FAST_CONNECTED : WEIR_FAST_FAILED;
}
