/* SPDX-License-Identifier: MIT */
#include "src/agent/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/agent/dashboard.h"
#include "src/agent/exchange.h"
#include "src/agent/places.h"
#include "src/agent/streams.h"
#include "weir/gate.h"
#include "weir/log.h"
#include "weir/units.h"

#define CONNECTIONS       32U
#define SILENCE_S         10U
#define CONNECTION_MEMORY 32768U
#define TOKEN_BYTES       16
#define TOKEN_FILE        "http-token"

struct weir_listener {
	struct MHD_Daemon *daemon;
	struct weir_api api;
	struct weir_streams streams;
	struct weir_places places;
	uint64_t client_ns;
	uint16_t port;
	bool six; /* [::1], else 127.0.0.1 */
	char token[2 * TOKEN_BYTES + 1];
	char url[96], own_url[32]; /* with the token, without */
	char token_path[WEIR_PATH_MAX];
};

/* So many random bytes as hexadecimal. */
static bool random_text(char *out, size_t bytes)
{
	unsigned char raw[TOKEN_BYTES];
	if (bytes > sizeof raw || getrandom(raw, bytes, 0) != (ssize_t)bytes)
		return false;
	for (size_t i = 0; i < bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
	return true;
}

/* Whole or not at all, and the user's alone from the first moment. */
static int write_token(struct weir_listener *l)
{
	char fresh[WEIR_PATH_MAX];
	const char *dir = l->api.world->dir;
	if (weir_format(l->token_path, sizeof l->token_path, "%s/" TOKEN_FILE, dir) >= sizeof l->token_path - 1 ||
	    weir_format(fresh, sizeof fresh, "%s/" TOKEN_FILE ".new", dir) >= sizeof fresh - 1)
		return ENAMETOOLONG;
	unlink(fresh);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = strlen(l->token);
	if (fd < 0)
		return errno;
	bool good = write(fd, l->token, n) == (ssize_t)n && write(fd, "\n", 1) == 1;
	int err = good ? 0 : errno ? errno : EIO;
	close(fd);
	if (!err && rename(fresh, l->token_path) != 0)
		err = errno;
	if (err)
		unlink(fresh);
	return err;
}

/* "127.0.0.1:PORT" or "[::1]:PORT". */
static const char *read_address(const char *address, bool *six, uint16_t *port)
{
	static const char *const hosts[] = {"127.0.0.1:", "[::1]:"};
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		size_t n = strlen(hosts[i]);
		uint64_t number;
		if (strncmp(address, hosts[i], n) != 0)
			continue;
		const char *why = weir_parse_count(address + n, 65535, &number);
		*six = i == 1;
		*port = why ? 0 : (uint16_t)number;
		return why;
	}
	return "expected 127.0.0.1:PORT or [::1]:PORT: what it tells is for this machine alone";
}

const char *weir_listener_address(const char *address)
{
	bool six;
	uint16_t port;
	return read_address(address, &six, &port);
}

/* A socket that listens there, or -1 and errno; takes note of the port that it got. */
static int listen_there(struct weir_listener *l)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} at;
	int fd = socket(l->six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	socklen_t size = l->six ? sizeof at.six : sizeof at.four;
	if (fd < 0)
		return -1;
	memset(&at, 0, sizeof at);
	at.any.sa_family = l->six ? AF_INET6 : AF_INET;
	if (l->six) {
		at.six.sin6_addr = in6addr_loopback;
		at.six.sin6_port = htons(l->port);
	} else {
		at.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		at.four.sin_port = htons(l->port);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* an agent that has just left */
	if (bind(fd, &at.any, size) != 0 || listen(fd, (int)CONNECTIONS) != 0 || getsockname(fd, &at.any, &size) != 0) {
		int err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	l->port = ntohs(l->six ? at.six.sin6_port : at.four.sin_port);
	return fd;
}

/* Whether a Host header names this listener: as an address or as localhost, and with its port. */
static bool names_us(const struct weir_listener *l, const char *host)
{
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
	char expected[64];
	for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
		snprintf(expected, sizeof expected, "%s:%u", names[i], l->port);
		if (strcasecmp(host, expected) == 0 || (l->port == 80 && strcasecmp(host, names[i]) == 0))
			return true;
	}
	return false;
}

/* In a time that tells nothing of where they differ. */
static bool same_text(const char *a, const char *b)
{
	size_t n = strlen(a);
	unsigned char differs = strlen(b) != n;
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(a[i] ^ b[differs ? 0 : i]);
	return !differs;
}

static bool has_token(const struct weir_listener *l, struct MHD_Connection *connection)
{
	static const char scheme[] = "Bearer ";
	const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	return given && strncasecmp(given, scheme, sizeof scheme - 1) == 0 && same_text(l->token, given + sizeof scheme - 1);
}

static bool changes_nothing(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Whether the request is refused; *reply says why. */
static bool refused(const struct weir_listener *l, struct MHD_Connection *connection, const char *method,
		    struct weir_api_reply *reply)
{
	if (!names_us(l, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST))) {
		weir_api_fail(reply, MHD_HTTP_MISDIRECTED_REQUEST, "the Host header names another server");
		return true;
	}
	if (!changes_nothing(method) && !has_token(l, connection)) {
		weir_api_fail(reply, MHD_HTTP_UNAUTHORIZED,
			      "what changes something needs 'Authorization: Bearer TOKEN', the token in the file " TOKEN_FILE
			      " of the runtime directory");
		return true;
	}
	return false;
}

static enum MHD_Result send_page(struct MHD_Connection *connection)
{
	struct weir_api_reply reply = {.status = MHD_HTTP_OK, .content_type = "text/html; charset=utf-8"};
	char nonce[WEIR_NONCE_MAX], policy[384];
	if (!random_text(nonce, TOKEN_BYTES))
		return MHD_NO;
	snprintf(policy, sizeof policy,
		 "default-src 'none'; connect-src 'self'; script-src 'nonce-%s'; style-src 'nonce-%s'; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'",
		 nonce, nonce);
	const char *const headers[] = {"Content-Security-Policy",
				       policy,
				       "X-Content-Type-Options",
				       "nosniff",
				       "Referrer-Policy",
				       "no-referrer",
				       "X-Frame-Options",
				       "DENY",
				       NULL};
	reply.body = weir_dashboard_page(nonce, &reply.length);
	return weir_exchange_reply(connection, &reply, headers);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *data, size_t *size, void **context)
{
	static const char *const headers[] = {"X-Content-Type-Options", "nosniff", "WWW-Authenticate", "Bearer", NULL};
	struct weir_listener *l = cls;
	struct weir_exchange *x = *context;
	struct weir_api_reply reply;
	(void)version;
	if (!x || !x->uri)
		return MHD_NO;
	if (!x->begun) {
		x->begun = true;
		return MHD_YES;
	}
	if (*size > 0)
		return weir_exchange_take(x, data, size);
	weir_places_answering(connection, true);
	if (refused(l, connection, method, &reply))
		return weir_exchange_reply(connection, &reply, reply.status == MHD_HTTP_UNAUTHORIZED ? headers : NULL);
	l->client_ns = weir_now_ns();
	struct weir_api_request request = weir_exchange_request(x, connection, method);
	if (changes_nothing(method) && strcmp(url, "/") == 0)
		return send_page(connection);
	if (weir_streams_asked(&request)) {
		weir_places_streaming(connection);
		return weir_streams_open(&l->streams, connection, &request);
	}
	weir_exchange_answer(&l->api, x, &request, &reply);
	static const char *const plain[] = {"X-Content-Type-Options", "nosniff", NULL};
	return weir_exchange_reply(connection, &reply, plain);
}

static void end_exchange(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)code;
	weir_places_answering(connection, false);
	weir_exchange_free(*context);
	*context = NULL;
}

static void write_urls(struct weir_listener *l)
{
	snprintf(l->own_url, sizeof l->own_url, "http://%s:%hu/", l->six ? "[::1]" : "127.0.0.1", l->port);
	/* Behind a #, which no browser sends to anybody. */
	snprintf(l->url, sizeof l->url, "%s#token=%s", l->own_url, l->token);
}

static const char *start(struct weir_listener *l, const char *address, int *err)
{
	const char *why = read_address(address, &l->six, &l->port);
	if (why)
		return why;
	int fd = listen_there(l);
	if (fd < 0) {
		*err = errno;
		return "cannot listen there";
	}
	*err = random_text(l->token, TOKEN_BYTES) ? write_token(l) : EIO;
	if (*err) {
		close(fd);
		return "the token cannot be written";
	}
	l->places.most = CONNECTIONS;
	l->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, l,
				     MHD_OPTION_EXTERNAL_LOGGER, weir_exchange_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
				     MHD_OPTION_NOTIFY_CONNECTION, weir_places_notice, &l->places,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK,
				     weir_exchange_begin, NULL, MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL, MHD_OPTION_END);
	if (!l->daemon) {
		*err = errno;
		close(fd);
		unlink(l->token_path);
		return "libmicrohttpd cannot start";
	}
	write_urls(l);
	return NULL;
}

const char *weir_listener_start(struct weir_listener **out, const char *address, const struct weir_api *api, int *err)
{
	struct weir_listener *l = calloc(1, sizeof *l);
	*out = NULL;
	*err = 0;
	if (!l)
		return "out of memory";
	l->api = *api;
	l->streams.segment = api->segment;
	l->streams.alerts = api->alerts;
	const char *why = start(l, address, err);
	if (why)
		free(l);
	else
		*out = l;
	return why;
}

const char *weir_listener_url(const struct weir_listener *l, bool with_token)
{
	return with_token ? l->url : l->own_url;
}

int weir_listener_descriptor(const struct weir_listener *l)
{
	const union MHD_DaemonInfo *info = l ? MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	return info ? info->epoll_fd : -1;
}

bool weir_listener_timeout(const struct weir_listener *l, uint64_t *ns)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool some = l && MHD_get_timeout(l->daemon, &ms) == MHD_YES;
	if (some)
		*ns = (uint64_t)ms * 1000000U;
	return l ? weir_places_timeout(&l->places, some, ns) : some;
}

void weir_listener_run(struct weir_listener *l)
{
	if (!l)
		return;
	if (weir_streams_go_on(&l->streams, weir_now_ns()))
		l->client_ns = weir_now_ns();
	weir_places_turn(&l->places, weir_now_ns());
	MHD_run(l->daemon);
}

uint64_t weir_listener_client_ns(const struct weir_listener *l)
{
	return l ? l->client_ns : 0;
}

void weir_listener_stop(struct weir_listener *l)
{
	if (!l)
		return;
	unlink(l->token_path);
	weir_streams_end(&l->streams);
	MHD_run(l->daemon);
	MHD_stop_daemon(l->daemon);
	free(l);
}
