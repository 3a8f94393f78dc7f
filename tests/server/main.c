/* quotad: a real HTTP and HTTPS server on loopback that enforces quotas and misbehaves on request. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tests/server/clock.h"
#include "tests/server/control.h"
#include "tests/server/file.h"
#include "tests/server/options.h"
#include "tests/server/service.h"

#define EXIT_USAGE 64

/* Before any thread starts, since threads inherit all of it. */
static int prepare_process(const struct options *o)
{
	struct rlimit files;
	sigset_t stop;

	if (o->die_with_parent) {
		pid_t parent = getppid();

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			raise(SIGTERM); /* it died in between */
	}
	/* Service times are to be exact: the default slack of 50 µs is 5 % of a millisecond. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		rlim_t wanted = CONNECTIONS_MAX_FD;

		files.rlim_cur = files.rlim_max == RLIM_INFINITY || files.rlim_max > wanted ? wanted : files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Says where it listens. 0, or -1 with a line on stderr. */
static int announce_ready(const struct options *o, const struct service *s, const struct control *c)
{
	char text[128];

	if (o->cert_file[0] != '\0' && (!o->tls || certificate_write(&s->certificate, o->cert_file) != 0)) {
		fprintf(stderr, "quotad: cannot write %s: %s\n", o->cert_file, o->tls ? strerror(errno) : "no --tls");
		return -1;
	}
	snprintf(text, sizeof text, "http=%d\nhttps=%d\ncontrol=%d\npid=%d\n", s->http.port, s->https.fd < 0 ? 0 : s->https.port,
		 c->port, (int)getpid());
	if (o->ready_file[0] != '\0' && file_replace(o->ready_file, text) != 0) {
		fprintf(stderr, "quotad: cannot write %s: %s\n", o->ready_file, strerror(errno));
		return -1;
	}
	for (char *newline = text; (newline = strchr(newline, '\n')) != NULL && newline[1] != '\0';)
		*newline = ' ';
	fputs(text, stdout);
	fflush(stdout);
	return 0;
}

static void wait_for_work(struct pollfd *pollers, nfds_t count, int64_t deadline_ns)
{
	int64_t left_ns = deadline_ns - monotonic_ns();
	struct timespec timeout;

	if (left_ns < 0)
		left_ns = 0;
	timeout = (struct timespec){.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
	if (ppoll(pollers, count, &timeout, NULL) < 0) {
		for (nfds_t i = 0; i < count; i++)
			pollers[i].revents = 0;
	}
}

/* Accepts connections and ends outages until told to stop. */
static void run(const struct options *o, struct service *s, struct control *c, int signal_fd, int wake_fd)
{
	int64_t stop_ns = monotonic_ns() + (int64_t)(o->max_seconds * (double)NS_PER_S);

	while (monotonic_ns() < stop_ns && !atomic_load(&c->quit)) {
		int64_t outage_end_ns = outage_tick(&s->outage, monotonic_ns());
		enum outage_kind kind = outage_current(&s->outage);
		bool accepting = kind == OUTAGE_NONE || kind == OUTAGE_HANG;
		struct pollfd pollers[] = {
			{.fd = signal_fd, .events = POLLIN},
			{.fd = wake_fd, .events = POLLIN},
			{.fd = accepting ? s->http.fd : -1, .events = POLLIN},
			{.fd = accepting ? s->https.fd : -1, .events = POLLIN},
		};
		uint64_t ignored;

		wait_for_work(pollers, sizeof pollers / sizeof pollers[0],
			      outage_end_ns != 0 && outage_end_ns < stop_ns ? outage_end_ns : stop_ns);
		if (pollers[0].revents != 0)
			return;
		if (pollers[1].revents != 0 && read(wake_fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN)
			perror("quotad: eventfd");
		if (pollers[2].revents != 0)
			service_accept(s, &s->http);
		if (pollers[3].revents != 0)
			service_accept(s, &s->https);
	}
}

int main(int argc, char **argv)
{
	static struct options options;
	static struct service service;
	static struct control control;
	char error[OPTIONS_ERROR_BYTES];
	int status = EXIT_FAILURE;
	int signal_fd;
	int wake_fd;

	options_init(&options);
	if (!options_parse(&options, argc, argv, error)) {
		fprintf(stderr, "quotad: %s\n", error);
		return EXIT_USAGE;
	}
	if (options.help) {
		options_help(stdout);
		return EXIT_SUCCESS;
	}
	signal_fd = prepare_process(&options);
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signal_fd < 0 || wake_fd < 0) {
		fprintf(stderr, "quotad: cannot start: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (service_start(&service, &options.quota, options.port, options.tls, options.tls_port) == 0 &&
	    control_start(&control, &service, options.control_port, wake_fd) == 0 &&
	    announce_ready(&options, &service, &control) == 0) {
		run(&options, &service, &control, signal_fd, wake_fd);
		status = EXIT_SUCCESS;
	}
	/* Control first: no request of it may look at a service that is gone. */
	control_stop(&control);
	service_stop(&service);
	close(signal_fd);
	close(wake_fd);
	return status;
}
