/* SPDX-License-Identifier: MIT */
#include "src/agent/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/agent/exchange.h"
#include "src/agent/places.h"
#include "src/agent/streams.h"
#include "weir/gate.h"
#include "weir/log.h"

#define CONNECTIONS       64U
#define SILENCE_S         10U    /* a client that says nothing for so long is let go */
#define CONNECTION_MEMORY 32768U /* request line and headers; beyond it libmicrohttpd answers 431 by itself */
#define OWN_DESCRIPTORS   24U    /* of the agent itself, files that it reads included */

struct weir_server_state {
	struct weir_places places;
	struct MHD_Daemon *daemon;
	struct weir_api api;
	struct weir_streams streams;
	uint64_t client_ns;
	dev_t device; /* of the socket, so that no other agent's is removed */
	ino_t inode;
};

void weir_server_init(struct weir_server *s)
{
	s->state = NULL;
}

static bool peer_allowed(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

static void end_exchange(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)code;
	weir_places_answering(connection, false);
	weir_exchange_free(*context);
	*context = NULL;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *data, size_t *size, void **context)
{
	struct weir_server_state *state = cls;
	struct weir_exchange *x = *context;
	(void)url;
	(void)version;
	if (!x || !x->uri)
		return MHD_NO;
	if (!x->begun) {
		x->begun = true;
		if (!peer_allowed(connection))
			return MHD_NO;
		state->client_ns = weir_now_ns();
		return MHD_YES;
	}
	if (*size > 0)
		return weir_exchange_take(x, data, size);

	struct weir_api_reply reply;
	struct weir_api_request request = weir_exchange_request(x, connection, method);
	state->client_ns = weir_now_ns();
	weir_places_answering(connection, true);
	if (weir_streams_asked(&request))
		return weir_streams_open(&state->streams, connection, &request);
	weir_exchange_answer(&state->api, x, &request, &reply);
	return weir_exchange_reply(connection, &reply, NULL);
}

/* Binds and listens, 0600 from the first moment. Returns 0 or errno. */
static int bind_to(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct weir_socket_name name;
	if (!weir_socket_name(path, &name))
		return errno;
	_Static_assert(sizeof name.path == sizeof address.sun_path, "one is made for the other");
	memcpy(address.sun_path, name.path, sizeof address.sun_path);
	mode_t mask = umask(0177);
	int failed = bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, CONNECTIONS) != 0;
	int err = failed ? errno : 0;
	umask(mask);
	weir_socket_name_end(&name);
	return err;
}

/* A socket at `path`, or -1. */
static int bind_socket(const char *path, const char **why)
{
	struct stat st;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			*why = "something that is not a socket stands there";
			errno = 0;
			return -1;
		}
		unlink(path); /* of an agent that died: ours is the lock */
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		*why = "no socket";
		return -1;
	}
	int err = bind_to(fd, path);
	if (err) {
		close(fd);
		errno = err;
		*why = "cannot listen";
		return -1;
	}
	return fd;
}

/* How many clients there can be. The agent was started by whoever came first, with that one's limits: a small soft limit of
 * descriptors is no reason to serve nobody. */
static unsigned places(void)
{
	const rlim_t wanted = CONNECTIONS + OWN_DESCRIPTORS;
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return CONNECTIONS;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
		weir_log(WEIR_LOG_WARN, "agent: only %u descriptors are allowed (ulimit -n): fewer clients at a time",
			 (unsigned)limit.rlim_cur);
	if (limit.rlim_cur >= wanted)
		return CONNECTIONS;
	return limit.rlim_cur > OWN_DESCRIPTORS ? (unsigned)limit.rlim_cur - OWN_DESCRIPTORS : 1;
}

const char *weir_server_start(struct weir_server *s, const struct weir_api *api, int *err)
{
	const struct weir_world *world = api->world;
	const char *why = NULL;
	struct stat st;
	int fd = bind_socket(world->socket, &why);
	*err = errno;
	if (fd < 0)
		return why;
	struct weir_server_state *state = calloc(1, sizeof *state);
	if (state) {
		state->streams.segment = api->segment;
		state->streams.alerts = api->alerts;
		state->places.most = places();
		state->api = *api;
		state->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
						 handle, state, MHD_OPTION_EXTERNAL_LOGGER, weir_exchange_log, NULL,
						 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S,
						 MHD_OPTION_CONNECTION_LIMIT, state->places.most, MHD_OPTION_NOTIFY_CONNECTION,
						 weir_places_notice, &state->places, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
						 (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK, weir_exchange_begin,
						 NULL, MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL, MHD_OPTION_END);
	}
	if (!state || !state->daemon) {
		*err = errno;
		close(fd);
		unlink(world->socket);
		free(state);
		return "libmicrohttpd cannot start";
	}
	if (lstat(world->socket, &st) == 0) {
		state->device = st.st_dev;
		state->inode = st.st_ino;
	}
	s->state = state;
	return NULL;
}

int weir_server_descriptor(const struct weir_server *s)
{
	const union MHD_DaemonInfo *info = s->state ? MHD_get_daemon_info(s->state->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	return info ? info->epoll_fd : -1;
}

bool weir_server_timeout(const struct weir_server *s, uint64_t *ns)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool some = s->state && MHD_get_timeout(s->state->daemon, &ms) == MHD_YES;
	if (some)
		*ns = (uint64_t)ms * 1000000U;
	return s->state ? weir_places_timeout(&s->state->places, some, ns) : some;
}

void weir_server_run(struct weir_server *s)
{
	if (!s->state)
		return;
	if (weir_streams_go_on(&s->state->streams, weir_now_ns()))
		s->state->client_ns = weir_now_ns();
	weir_places_turn(&s->state->places, weir_now_ns());
	MHD_run(s->state->daemon);
}

uint64_t weir_server_client_ns(const struct weir_server *s)
{
	return s->state ? s->state->client_ns : 0;
}

void weir_server_stop(struct weir_server *s)
{
	struct weir_server_state *state = s->state;
	struct stat st;
	if (!state)
		return;
	if (lstat(state->api.world->socket, &st) == 0 && st.st_dev == state->device && st.st_ino == state->inode)
		unlink(state->api.world->socket);
	/* libmicrohttpd does not stop while a connection is suspended. */
	weir_streams_end(&state->streams);
	MHD_run(state->daemon);
	MHD_stop_daemon(state->daemon); /* closes the socket */
	free(state);
	s->state = NULL;
}
