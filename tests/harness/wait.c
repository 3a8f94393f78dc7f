#include "tests/harness/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness/failure.h"
#include "tests/harness/file.h"

#define POLL_NS 2000000

double monotonic_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

bool wait_until(bool (*holds)(void *data), void *data, double seconds)
{
	double end_s = monotonic_s() + seconds;
	const struct timespec pause = {.tv_nsec = POLL_NS};

	for (;;) {
		if (holds(data))
			return true;
		if (monotonic_s() >= end_s)
			return false;
		nanosleep(&pause, NULL);
	}
}

void assert_soon(bool (*holds)(void *data), void *data, double seconds, const char *what)
{
	if (!wait_until(holds, data, seconds))
		harness_fail("not within %g s: %s", seconds, what);
}

static bool has_exited(void *data)
{
	char path[64];
	char *stat;
	const char *state;
	bool exited;

	snprintf(path, sizeof path, "/proc/%d/stat", *(int *)data);
	stat = read_file(path);
	if (stat == NULL)
		return true;
	state = strrchr(stat, ')'); /* the name before it may hold anything */
	exited = state == NULL || strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0;
	free(stat);
	return exited;
}

bool wait_for_exit(int pid, double seconds)
{
	return wait_until(has_exited, &pid, seconds);
}
