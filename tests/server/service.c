#include "tests/server/service.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/server/clock.h"
#include "tests/server/path.h"

/* MHD's own limit must never be the one that is met: it closes connections without a notice. */
#define MHD_CONNECTIONS    (CONNECTIONS_MAX_FD * 2)
#define THREAD_STACK_BYTES ((size_t)256 * 1024)

/* Sleeps until `ready_ns`. False when the server stops first. */
static bool wait_until(const struct service *s, int64_t ready_ns)
{
	struct pollfd poller = {.fd = s->stop_fd, .events = POLLIN};

	for (;;) {
		int64_t left_ns = ready_ns - monotonic_ns();
		struct timespec timeout = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};

		if (left_ns <= 0)
			return true;
		if (ppoll(&poller, 1, &timeout, NULL) > 0)
			return false;
	}
}

static struct MHD_Response *respond(const struct verdict *verdict, const struct path *path, struct MHD_Connection *connection,
				    const char *method)
{
	struct MHD_Response *response;

	if (verdict->overruled) {
		char text[32];

		snprintf(text, sizeof text, "%s %d\n", verdict->throttled ? "throttled" : "error", verdict->status);
		response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	} else {
		response = path_response(path, connection, method);
	}
	if (response == NULL)
		return NULL;
	for (size_t i = 0; i < verdict->announcement.headers; i++)
		MHD_add_response_header(response, verdict->announcement.header[i].name, verdict->announcement.header[i].value);
	return response;
}

static enum MHD_Result serve(struct service *s, struct MHD_Connection *connection, const char *url, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct path path;
	struct verdict verdict;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (info == NULL)
		return MHD_NO;
	switch (outage_current(&s->outage)) {
	case OUTAGE_REFUSE: /* was on its way when its connection was shut down */
		return MHD_NO;
	case OUTAGE_HANG:
	case OUTAGE_BLACKHOLE:
		quota_arrive_hung(&s->quota, url);
		outage_hang(&s->outage, info->connect_fd);
		quota_leave(&s->quota);
		return MHD_NO;
	case OUTAGE_NONE:
		break;
	}

	path_read(url, s->https.fd < 0 ? 0 : s->https.port, &path);
	quota_arrive(&s->quota, url, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization"), path.status,
		     path.delay_ns, &verdict);
	/* An outage that began meanwhile keeps the answer back. */
	if (!wait_until(s, verdict.ready_ns) || outage_hang(&s->outage, info->connect_fd)) {
		quota_leave(&s->quota);
		return MHD_NO;
	}
	response = respond(&verdict, &path, connection, method);
	quota_leave(&s->quota);
	if (response == NULL)
		return MHD_NO;
	result = MHD_queue_response(connection, (unsigned)verdict.status, response);
	MHD_destroy_response(response);
	return result;
}

/* MHD calls this once for the headers, once for each piece of the body and once at its end. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_bytes, void **request)
{
	static char seen;

	(void)version;
	(void)upload;
	if (*request == NULL) {
		*request = &seen;
		return MHD_YES;
	}
	if (*upload_bytes > 0) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	return serve(data, connection, url, method);
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct service *s = data;
	const union MHD_ConnectionInfo *info;

	(void)context;
	if (code != MHD_CONNECTION_NOTIFY_CLOSED)
		return;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info != NULL)
		connections_remove(&s->connections, info->connect_fd);
}

/* A thread per connection: a request that waits for its slot just sleeps. The accept loop is our own,
 * so that the listening sockets can play dead. */
static struct MHD_Daemon *start_daemon(struct service *s, const struct certificate *tls)
{
	const struct MHD_OptionItem tls_options[] = {
		{MHD_OPTION_HTTPS_MEM_KEY, 0, tls == NULL ? NULL : (void *)(uintptr_t)tls->key_pem},
		{MHD_OPTION_HTTPS_MEM_CERT, 0, tls == NULL ? NULL : (void *)(uintptr_t)tls->certificate_pem},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
			 MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_USE_SUPPRESS_DATE_NO_CLOCK;

	if (tls != NULL)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, s,                    //
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,         //
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)MHD_CONNECTIONS, //
				MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK_BYTES,       //
				MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,                   //
				MHD_OPTION_ARRAY, tls != NULL ? tls_options : no_options, MHD_OPTION_END);
}

static int open_port(struct service *s, struct listener *listener, uint16_t port, const char *what)
{
	if (listener_open(listener, port) != 0) {
		fprintf(stderr, "quotad: cannot listen on 127.0.0.1:%d for %s: %s\n", port, what, strerror(errno));
		return -1;
	}
	outage_add_listener(&s->outage, listener);
	return 0;
}

int service_start(struct service *s, const struct quota_settings *settings, uint16_t port, bool tls, uint16_t tls_port)
{
	s->http.fd = -1;
	s->https.fd = -1;
	connections_init(&s->connections);
	outage_init(&s->outage, &s->connections, &s->quota);
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0 || quota_open(&s->quota, settings) != 0) {
		fprintf(stderr, "quotad: cannot start: %s\n", strerror(errno));
		return -1;
	}
	if (open_port(s, &s->http, port, "HTTP") != 0)
		return -1;
	s->http_daemon = start_daemon(s, NULL);
	if (tls) {
		if (certificate_make(&s->certificate) != 0 || open_port(s, &s->https, tls_port, "HTTPS") != 0)
			return -1;
		s->https_daemon = start_daemon(s, &s->certificate);
	}
	if (s->http_daemon == NULL || (tls && s->https_daemon == NULL)) {
		fprintf(stderr, "quotad: cannot start the HTTP daemon\n");
		return -1;
	}
	return 0;
}

static bool accept_one(struct service *s, struct listener *listener)
{
	struct MHD_Daemon *daemon = listener == &s->http ? s->http_daemon : s->https_daemon;
	struct sockaddr_in peer;
	int fd = listener_accept(listener, &peer);

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	quota_count_connection(&s->quota, s->outage.kind != OUTAGE_NONE);
	if (!connections_add(&s->connections, fd)) {
		close(fd);
		return true;
	}
	/* Takes the descriptor, whether it succeeds or not. */
	MHD_add_connection(daemon, fd, (struct sockaddr *)&peer, sizeof peer);
	return true;
}

void service_accept(struct service *s, struct listener *listener)
{
	/* Under the outage's mutex: no connection is taken after an outage has begun. */
	pthread_mutex_lock(&s->outage.mutex);
	while (s->outage.kind != OUTAGE_REFUSE && s->outage.kind != OUTAGE_BLACKHOLE && accept_one(s, listener)) {
	}
	pthread_mutex_unlock(&s->outage.mutex);
}

void service_stop(struct service *s)
{
	uint64_t one = 1;

	if (s->stop_fd >= 0 && write(s->stop_fd, &one, sizeof one) < 0)
		perror("quotad: eventfd");
	outage_stop(&s->outage);
	if (s->http_daemon != NULL)
		MHD_stop_daemon(s->http_daemon);
	if (s->https_daemon != NULL)
		MHD_stop_daemon(s->https_daemon);
	listener_close(&s->http);
	listener_close(&s->https);
	certificate_free(&s->certificate);
	quota_close(&s->quota);
	outage_destroy(&s->outage);
	connections_destroy(&s->connections);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
}
