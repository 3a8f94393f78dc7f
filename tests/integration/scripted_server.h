/* SPDX-License-Identifier: MIT */
/*
 * A server that answers as the path says: /503,200/7 is answered by a 503 the first time, by a 200 from then on. The number at
 * the end (0 to 255) tells one series from another.
 *
 *   200, 404, 429 …  that status with a few bytes of body      429h    with Retry-After: 1
 *   c503             its body in chunks                        big503  a body of 300 KiB
 *   close, reset     no answer at all                          head    half a head
 *   half, half503    less body than was announced              hang    nothing, for as long as the client stays
 *   slow503          a 503 whose body comes 300 ms after it    to      a redirect to /503,200/N+128
 *
 * A child process for each connection; all end with the test.
 */
#ifndef SCRIPTED_SERVER_H
#define SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERIES     256
#define BIG_BYTES  (300 * 1024)
#define HEAD_BYTES 16384
#define SLOW_MS    300
#define CLIENT_MS  20000 /* a connection on which nothing happens */

struct scripted {
	pid_t pid;
	int port;
	struct {
		_Atomic int requests;
		_Atomic long body_bytes; /* of all requests */
	} * series;
};

static inline void say_all(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = send(fd, text, bytes, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		bytes -= (size_t)n;
	}
}

static inline void say_status(int fd, int status, const char *more, const char *body, size_t announced)
{
	char text[512];
	int n = snprintf(text, sizeof text,
			 "HTTP/1.1 %d Whatever\r\nX-One: 1\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
			 status, more, announced, body);

	say_all(fd, text, (size_t)n);
}

/* Returns whether the connection stays open. */
static inline bool answer(int fd, const char *word, int number, bool head_only)
{
	const char *body = head_only ? "" : "some\nbytes\n";
	static char big[BIG_BYTES];
	char more[160];
	int status = atoi(word[0] == 'c' ? word + 1 : word);

	if (strcmp(word, "close") == 0)
		return false;
	if (strcmp(word, "reset") == 0) {
		struct linger l = {1, 0};

		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
		return false;
	}
	if (strcmp(word, "head") == 0) {
		say_all(fd, "HTTP/1.1 503 Whatever\r\nX-One: 1\r\n", 33);
		return false;
	}
	if (strncmp(word, "half", 4) == 0) {
		say_status(fd, word[4] ? 503 : 200, "", body, 100);
		return false;
	}
	if (strcmp(word, "hang") == 0) {
		poll(NULL, 0, CLIENT_MS);
		return false;
	}
	if (strcmp(word, "to") == 0) {
		snprintf(more, sizeof more, "Location: /503,200/%d\r\n", number + 128);
		say_status(fd, 302, more, body, strlen(body));
	} else if (strcmp(word, "big503") == 0) {
		memset(big, 'b', sizeof big);
		say_status(fd, 503, "", "", sizeof big);
		say_all(fd, big, sizeof big);
	} else if (strcmp(word, "slow503") == 0) {
		say_status(fd, 503, "", "", 6);
		poll(NULL, 0, SLOW_MS);
		say_all(fd, "later\n", 6);
	} else if (word[0] == 'c') {
		snprintf(more, sizeof more,
			 "HTTP/1.1 %d Whatever\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n7\r\n second\r\n0\r\n\r\n",
			 status);
		say_all(fd, more, strlen(more));
	} else {
		say_status(fd, status, strchr(word, 'h') ? "Retry-After: 1\r\n" : "", body, strlen(body));
	}
	return true;
}

/* Reads a request; returns the bytes of its body, or -1. */
static inline long read_request(int fd, char head[HEAD_BYTES])
{
	size_t n = 0;
	char *end = NULL, *length;
	long body, have;

	while (!end && n < HEAD_BYTES - 1) {
		ssize_t got = recv(fd, head + n, HEAD_BYTES - 1 - n, 0);

		if (got <= 0)
			return -1;
		n += (size_t)got;
		head[n] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	if (!end)
		return -1;
	if (strstr(head, "chunked")) {
		while (!strstr(end + 4, "0\r\n\r\n") && n < HEAD_BYTES - 1) {
			ssize_t got = recv(fd, head + n, HEAD_BYTES - 1 - n, 0);

			if (got <= 0)
				return -1;
			n += (size_t)got;
			head[n] = '\0';
		}
		return (long)(n - (size_t)(end + 4 - head));
	}
	length = strstr(head, "Content-Length: ");
	body = length ? atol(length + 16) : 0;
	for (have = (long)(n - (size_t)(end + 4 - head)); have < body;) {
		char rest[4096];
		ssize_t got = recv(fd, rest, sizeof rest, 0);

		if (got <= 0)
			return -1;
		have += got;
	}
	return body;
}

static inline void serve(const struct scripted *s, int fd)
{
	char head[HEAD_BYTES], script[128], *word, *rest;
	int number, nth;
	long body;

	while ((body = read_request(fd, head)) >= 0) {
		if (sscanf(head, "%*s /%127[^/ ]/%d", script, &number) != 2 || number < 0 || number >= SERIES)
			return;
		nth = atomic_fetch_add(&s->series[number].requests, 1);
		atomic_fetch_add(&s->series[number].body_bytes, body);
		word = strtok_r(script, ",", &rest);
		for (int i = 0; i < nth; i++) {
			char *next = strtok_r(NULL, ",", &rest);

			word = next ? next : word;
		}
		if (!answer(fd, word, number, strncmp(head, "HEAD ", 5) == 0))
			return;
	}
}

static inline void scripted_start(struct scripted *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pid_t parent = getpid();

	s->series = mmap(NULL, SERIES * sizeof *s->series, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->series, MAP_FAILED);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listener, 128), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &length), 0);
	s->port = ntohs(a.sin_port);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGCHLD, SIG_IGN);
		while (getppid() == parent) {
			int fd = accept(listener, NULL, NULL);

			if (fd >= 0 && fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				close(listener);
				serve(s, fd);
				close(fd);
				_exit(0);
			}
			if (fd >= 0)
				close(fd);
		}
		_exit(0);
	}
	setpgid(s->pid, s->pid);
	close(listener);
}

static inline void scripted_stop(struct scripted *s)
{
	kill(-s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	munmap(s->series, SERIES * sizeof *s->series);
}

#endif
