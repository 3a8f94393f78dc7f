/* SPDX-License-Identifier: MIT */
#include "nginx.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/failure.h"

#define PROGRAM     "/usr/sbin/nginx"
#define ANSWERS_MAX 100000
#define STARTS_S    10.0

bool nginx_is_installed(void)
{
	return access(PROGRAM, X_OK) == 0;
}

/* A port that was free a moment ago; 0: the socket could not be had. */
static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good =
		fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(fd, (struct sockaddr *)&a, &length) == 0;

	if (fd >= 0)
		close(fd);
	return good ? ntohs(a.sin_port) : 0;
}

static bool listens(int port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

void nginx_start(struct nginx *n, const struct scene *scene, bool nodelay)
{
	char *dir = path_in(scene->dir, "nginx"), *page, *configuration, text[2048];
	pid_t parent = getpid();

	if (mkdir(dir, 0755) != 0)
		harness_fail("%s: %s", dir, strerror(errno));
	n->port = free_port();
	n->log = path_in(dir, "access.log");
	page = write_file(dir, "index.html", "ok\n");
	snprintf(text, sizeof text,
		 "daemon off; master_process off; error_log /dev/null; pid %s/pid;\n"
		 "events { worker_connections 512; }\n"
		 "http { log_format plain '$msec $status $request_time'; access_log %s plain;\n"
		 "client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path "
		 "%s/s;\n"
		 "limit_req_zone $binary_remote_addr zone=all:1m rate=10r/s;\n"
		 "server { listen 127.0.0.1:%d; root %s; location / { limit_req zone=all burst=20%s; } } }\n",
		 dir, n->log, dir, dir, dir, dir, dir, n->port, dir, nodelay ? " nodelay" : "");
	configuration = write_file(dir, "nginx.conf", text);
	n->pid = fork();
	if (n->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			execl(PROGRAM, PROGRAM, "-c", configuration, "-e", "/dev/null", (char *)NULL);
		_exit(127);
	}
	for (double begun_s = monotonic_s(); !listens(n->port); usleep(10000))
		if (n->pid < 0 || waitpid(n->pid, NULL, WNOHANG) == n->pid || monotonic_s() > begun_s + STARTS_S)
			harness_fail("%s does not start with %s", PROGRAM, configuration);
	free(page);
	free(configuration);
	free(dir);
}

void nginx_stop(struct nginx *n)
{
	kill(n->pid, SIGTERM);
	waitpid(n->pid, NULL, 0);
	free(n->log);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct nginx_count nginx_count(const struct nginx *n, double since_s)
{
	static double took[ANSWERS_MAX];
	FILE *log = fopen(n->log, "re");
	struct nginx_count count = {0};
	double at_s, took_s;
	int status;

	/* The probe of nginx_start is in it as status 400, or not at all. */
	while (log != NULL && fscanf(log, "%lf %d %lf", &at_s, &status, &took_s) == 3) {
		if (at_s < since_s)
			continue;
		if (status == 200 && count.good < ANSWERS_MAX)
			took[count.good] = took_s;
		count.good += status == 200;
		count.refused += status == 503;
	}
	if (log != NULL)
		fclose(log);
	if (count.good > 0 && count.good <= ANSWERS_MAX) {
		qsort(took, count.good, sizeof took[0], by_size);
		count.p99_s = took[(count.good - 1) * 99 / 100];
	}
	return count;
}
