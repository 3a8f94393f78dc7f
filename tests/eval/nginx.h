/* SPDX-License-Identifier: MIT */
/* A real nginx with limit_req, in the foreground as a child that dies with this process. */
#ifndef EVAL_NGINX_H
#define EVAL_NGINX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/harness/harness.h"

struct nginx {
	pid_t pid;
	int port;
	char *log;
};

/* Whether there is one on this machine (Debian: nginx-light). */
bool nginx_is_installed(void);

/* Starts one in the scene that lets ten requests a second pass and twenty beyond: at once (`nodelay`), or one by one. Waits until
 * it listens. */
void nginx_start(struct nginx *n, const struct scene *scene, bool nodelay);
void nginx_stop(struct nginx *n);

/* What it has answered from since_s (seconds of the wall clock) on. p99 is of how long the good answers took. */
struct nginx_count {
	uint64_t good, refused;
	double p99_s;
};
struct nginx_count nginx_count(const struct nginx *n, double since_s);

#endif
