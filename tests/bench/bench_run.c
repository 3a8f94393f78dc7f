/* SPDX-License-Identifier: MIT */
/* What `weir run` adds to a command: spawning true, `weir run true` and, for comparison, the program that does everything else
 * (`weir-tool run true`), in alternation, with an agent running. Bound: 2 ms between the medians of the first two. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

#define ROUNDS   300
#define BOUND_US 2000.0

static char runtime[] = "/tmp/weir-bench.XXXXXX", variable[64], state[64], config[64];

static uint64_t spawn(const char *program, char *const argv[])
{
	char *env[] = {"PATH=/usr/bin:/bin", variable, state, config, NULL};
	uint64_t begun = clock_ns();
	pid_t child;
	int status;

	if (posix_spawn(&child, program, NULL, NULL, argv, env) != 0 || waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "bench_run: %s failed\n", program);
		exit(2);
	}
	return clock_ns() - begun;
}

int main(void)
{
	static uint64_t bare[ROUNDS], run[ROUNDS], tool[ROUNDS];
	static char weir[4200], whole[4200];
	char *true_argv[] = {"true", NULL}, *run_argv[] = {"weir", "run", "true", NULL};
	char *stop_argv[] = {"weir", "agent", "--stop", NULL}, *rm_argv[] = {"rm", "-rf", runtime, NULL};
	const char *build = getenv("WEIR_BUILD");
	double cost, before;

	snprintf(weir, sizeof weir, "%s/weir", build != NULL ? build : "build");
	snprintf(whole, sizeof whole, "%s/weir-tool", build != NULL ? build : "build");
	if (mkdtemp(runtime) == NULL || access(weir, X_OK) != 0 || access(whole, X_OK) != 0) {
		fprintf(stderr, "bench_run: %s: %s\n", weir, strerror(errno));
		return 2;
	}
	snprintf(variable, sizeof variable, "WEIR_RUNTIME_DIR=%s", runtime);
	snprintf(state, sizeof state, "XDG_STATE_HOME=%s", runtime);
	snprintf(config, sizeof config, "XDG_CONFIG_HOME=%s", runtime);
	for (int i = 0; i < 20; i++)
		spawn(weir, run_argv); /* the first starts the agent */
	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = spawn("/bin/true", true_argv);
		run[i] = spawn(weir, run_argv);
		tool[i] = spawn(whole, run_argv);
	}
	spawn(weir, stop_argv);
	spawn("/bin/rm", rm_argv);
	cost = ((double)median(run, ROUNDS) - (double)median(bare, ROUNDS)) / 1e3;
	before = ((double)median(tool, ROUNDS) - (double)median(bare, ROUNDS)) / 1e3;
	printf("weir run: true %.0f us, weir run true %.0f us, difference %.0f us (bound %.0f us); by weir-tool %.0f us (median "
	       "of %d "
	       "alternated spawns)\n",
	       (double)median(bare, ROUNDS) / 1e3, (double)median(run, ROUNDS) / 1e3, cost, BOUND_US, before, ROUNDS);
	return cost <= BOUND_US ? 0 : 1;
}
