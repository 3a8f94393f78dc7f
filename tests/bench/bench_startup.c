/* SPDX-License-Identifier: MIT */
/* What the library costs a program that never goes online: spawning /bin/true with and without LD_PRELOAD, 1,500 pairs in
 * alternation, pinned to one processor. Bound: 60 microseconds between the medians. */
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

#define PAIRS    1500
#define BOUND_US 60.0

static uint64_t spawn(char *const envp[])
{
	char *argv[] = {"true", NULL};
	uint64_t begun = clock_ns();
	pid_t child;
	int status;

	if (posix_spawn(&child, "/bin/true", NULL, NULL, argv, envp) != 0 || waitpid(child, &status, 0) != child || status != 0)
		exit(2);
	return clock_ns() - begun;
}

int main(void)
{
	static uint64_t bare[PAIRS], loaded[PAIRS];
	static char preload[4200];
	char *without[] = {"PATH=/usr/bin:/bin", NULL}, *with[] = {"PATH=/usr/bin:/bin", preload, NULL};
	const char *build = getenv("WEIR_BUILD");
	double cost;
	cpu_set_t one;

	snprintf(preload, sizeof preload, "LD_PRELOAD=%s/libweir.so", build != NULL ? build : "build");
	if (access(preload + strlen("LD_PRELOAD="), R_OK) != 0) {
		fprintf(stderr, "bench_startup: %s: %s\n", preload, strerror(errno));
		return 2;
	}
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu() < 0 ? 0 : (size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	for (int i = 0; i < 50; i++) {
		spawn(without);
		spawn(with);
	}
	for (int i = 0; i < PAIRS; i++) {
		bare[i] = spawn(without);
		loaded[i] = spawn(with);
	}
	cost = ((double)median(loaded, PAIRS) - (double)median(bare, PAIRS)) / 1e3;
	printf("start-up: bare %.0f us, preloaded %.0f us, difference %.1f us (bound %.0f us; median of %d alternated spawns of "
	       "/bin/true)\n",
	       (double)median(bare, PAIRS) / 1e3, (double)median(loaded, PAIRS) / 1e3, cost, BOUND_US, PAIRS);
	return cost <= BOUND_US ? 0 : 1;
}
