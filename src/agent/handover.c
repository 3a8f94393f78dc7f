/* SPDX-License-Identifier: MIT */
#include "src/agent/handover.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weir/log.h"
#include "weir/segment.h"

#define LOOKS 200 /* one every 10 ms */

uint32_t weir_handover_agent(const struct weir_world *w, uint64_t *version)
{
	struct weir_segment s;
	const char *why;
	int err;
	uint32_t pid = weir_instance_pid(w);
	*version = 0;
	if (pid == 0 || weir_instance_version(w, version))
		return pid;
	if (weir_segment_open(&s, w->segment, false, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return pid;
	/* From before the lock file told it. The segment speaks of the holder of the lock, or of one that has died. */
	if (atomic_load(&s.header->agent_pid) == pid)
		*version = atomic_load(&s.header->agent_version);
	else
		*version = UINT64_MAX; /* it has only just begun: nothing is known, and it is not asked to leave */
	weir_segment_close(&s);
	return pid;
}

const char *weir_handover_take(struct weir_instance *i, const struct weir_world *w, uint32_t *other, int *err)
{
	const struct timespec rest = {0, 10000000};
	const char *why = weir_instance_take(i, w, other, err);
	uint64_t version;
	uint32_t pid = why && *other ? weir_handover_agent(w, &version) : 0;
	if (pid == 0 || pid != *other || !weir_version_newer(weir_version_number(weir_version()), version))
		return why;
	weir_log(WEIR_LOG_INFO, "agent: pid %u is of an older version and is asked to leave", pid);
	if (kill((pid_t)pid, SIGTERM) != 0)
		return why;
	for (int look = 0; look < LOOKS && why && *other == pid; look++) {
		nanosleep(&rest, NULL);
		why = weir_instance_take(i, w, other, err);
	}
	return why;
}

void weir_own_file_remember(struct weir_own_file *f)
{
	ssize_t n = readlink("/proc/self/exe", f->path, sizeof f->path - 1);
	f->path[n > 0 && n < (ssize_t)sizeof f->path - 1 ? n : 0] = '\0';
	if (f->path[0] && stat(f->path, &f->was) != 0)
		f->path[0] = '\0';
	f->seen = f->was;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool weir_own_file_replaced(struct weir_own_file *f)
{
	struct stat now;
	bool rests;
	if (!f->path[0] || stat(f->path, &now) != 0 || !S_ISREG(now.st_mode))
		return false;
	rests = same(&now, &f->seen);
	f->seen = now;
	return rests && !same(&now, &f->was) && access(f->path, X_OK) == 0;
}

void weir_own_file_become(const struct weir_own_file *f, const struct weir_agent_options *o)
{
	char idle[32], name[] = "weir", agent[] = "agent", option[] = "--idle-exit", spawned[] = "--spawned", http[] = "--http";
	char path[WEIR_PATH_MAX], address[64];
	char *argv[8] = {name, agent};
	size_t n = 2;
	if (o->idle_exit_given) {
		snprintf(idle, sizeof idle, "%lluns", (unsigned long long)o->idle_exit_ns);
		argv[n++] = option;
		argv[n++] = idle;
	}
	if (o->http) {
		weir_format(address, sizeof address, "%s", o->http);
		argv[n++] = http;
		argv[n++] = address;
	}
	if (o->spawned)
		argv[n++] = spawned;
	memcpy(path, f->path, sizeof path);
	execv(path, argv);
	weir_log(WEIR_LOG_WARN, "agent: %s was replaced, and cannot be started: %s", f->path, strerror(errno));
}
