/* Ending every agent that a scene has started: also one that has not written its pid yet, or that serves another configuration.
 */
#ifndef EVERY_AGENT_H
#define EVERY_AGENT_H

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/harness.h"

static inline bool runs_in(const char *pid, const char *setting)
{
	static char environment[65536];
	char path[300];
	size_t got, length = strlen(setting);
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	got = fread(environment, 1, sizeof environment - 1, f);
	fclose(f);
	environment[got] = '\0';
	for (const char *p = environment; p < environment + got; p += strlen(p) + 1) {
		if (strncmp(p, setting, length + 1) == 0)
			return true;
	}
	return false;
}

/* Sends the signal to every process that has this runtime directory in its environment. Returns how many there are. */
static inline unsigned signal_all_in(const char *runtime, int signal)
{
	char setting[600];
	DIR *proc = opendir("/proc");
	unsigned found = 0;

	snprintf(setting, sizeof setting, "WEIR_RUNTIME_DIR=%s", runtime);
	for (struct dirent *d; proc && (d = readdir(proc));) {
		int pid = atoi(d->d_name);

		if (pid <= 1 || pid == getpid() || !runs_in(d->d_name, setting))
			continue;
		kill(pid, signal);
		found++;
	}
	if (proc)
		closedir(proc);
	return found;
}

static inline bool none_is_left(void *runtime)
{
	return signal_all_in(runtime, SIGTERM) == 0;
}

/* All commands of the scene must be over. */
static inline void end_every_agent(const struct scene *scene)
{
	if (!wait_until(none_is_left, scene->runtime, 10))
		signal_all_in(scene->runtime, SIGKILL);
}

static inline int scene_teardown_with_agents(void **state)
{
	end_every_agent(*state);
	return scene_teardown(state);
}

#endif
