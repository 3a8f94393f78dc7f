/* SPDX-License-Identifier: MIT */
/* Many short-lived clients: each member runs one process at a time, a new one for every request. They are children of this
 * process and die with it. */
#ifndef EVAL_CROWD_H
#define EVAL_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/harness/harness.h"

#define CROWD_MAX 512

struct member {
	pid_t pid; /* 0 = none runs */
	int pid_fd;
	double begun_s;
	double not_before_s;  /* it pauses until then */
	double kill_at_s;     /* SIGKILL is due then; 0 = never */
	double continue_at_s; /* it is stopped until then; 0 = it is not */
	uint64_t succeeded;
	uint64_t failed;
};

struct crowd {
	struct member member[CROWD_MAX];
	unsigned count;
	char **environment;
	uint64_t started;
	bool no_pause;          /* who failed asks again at once */
	double last_success_s;  /* when a client last ended with status 0, and with another; 0 = never */
	double first_failure_s; /* since it was last set to 0 */
};

/* `count` members whose processes get this mode and configuration (NULL = none) in the scene. */
void crowd_open(struct crowd *c, const struct scene *scene, enum command_mode mode, const char *config, unsigned count);

/* Kills who still runs. */
void crowd_close(struct crowd *c);

/* Starts a process for a member that has none; argv[0] is looked up in PATH. */
void crowd_start(struct crowd *c, unsigned i, const char *const *argv);

/* curl -s for the URL, which fails on a status of 400 and more, with `-m most_s` when most_s is not NULL. */
void crowd_curl(struct crowd *c, unsigned i, const char *url, const char *most_s);

/* A member without a process, whose pause is over, or -1. */
int crowd_idle(const struct crowd *c, double now_s);

/* Waits until a process ends, for no longer than until `until_s`; does the kills and continuations that are due; reaps. Returns
 * monotonic_s(). */
double crowd_wait(struct crowd *c, double until_s);

/* Every member asks for url(data, i) again and again until `until_s`. */
void crowd_loop(struct crowd *c, const char *(*url)(void *data, unsigned i), void *data, double until_s);

#endif
