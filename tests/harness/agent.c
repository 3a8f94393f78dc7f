#include "tests/harness/agent.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/failure.h"
#include "tests/harness/file.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/wait.h"

#define STOP_LIMIT_S 10.0

/* A pid in a file may be anybody's by now. */
static bool runs_weir(pid_t pid)
{
	static const char deleted[] = " (deleted)"; /* rebuilt while it runs */
	char link[64];
	char target[PATH_MAX];
	ssize_t length;
	const char *base;

	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	length = readlink(link, target, sizeof target - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	if ((size_t)length > strlen(deleted) && strcmp(target + length - strlen(deleted), deleted) == 0)
		target[(size_t)length - strlen(deleted)] = '\0';
	base = strrchr(target, '/');
	return strcmp(base == NULL ? target : base + 1, "weir-tool") == 0;
}

pid_t agent_pid(const char *runtime_dir)
{
	char *path = path_in(runtime_dir, "agent.pid");
	char *text = read_file(path);
	long pid = text == NULL ? 0 : strtol(text, NULL, 10);

	free(path);
	free(text);
	return pid > 1 && pid <= INT_MAX && runs_weir((pid_t)pid) ? (pid_t)pid : 0;
}

bool end_agent(const char *runtime_dir)
{
	pid_t pid = agent_pid(runtime_dir);

	if (pid == 0)
		return true;
	kill(pid, SIGTERM);
	if (wait_for_exit(pid, STOP_LIMIT_S))
		return true;
	fprintf(stderr, "the agent %d is still there %g s after SIGTERM\n", (int)pid, STOP_LIMIT_S);
	kill(pid, SIGKILL);
	return false;
}

void stop_agent(const char *runtime_dir)
{
	if (!end_agent(runtime_dir))
		harness_fail("the agent had to be killed");
}
