/* SPDX-License-Identifier: MIT */
#include "src/agent/usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* proc(5): the name may hold anything, so what follows is counted from behind its last parenthesis: fields 3 and on. */
static bool read_stat(struct weir_own_usage *out)
{
	char line[1024];
	FILE *in = fopen("/proc/self/stat", "re");
	if (!in)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, in);
	fclose(in);
	line[n] = '\0';
	const char *rest = strrchr(line, ')');
	uint64_t started, bytes;
	int64_t pages;
	if (!rest || sscanf(rest,
			    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64 " %" SCNu64
			    " %" SCNd64,
			    &started, &bytes, &pages) != 3)
		return false;
	uint64_t age_ns = clock_ns(CLOCK_BOOTTIME), since_ns = started * (1000000000U / (uint64_t)sysconf(_SC_CLK_TCK));
	out->virtual_bytes = bytes;
	out->resident_bytes = (uint64_t)(pages > 0 ? pages : 0) * (uint64_t)sysconf(_SC_PAGESIZE);
	out->started_wall_ns = clock_ns(CLOCK_REALTIME) - (age_ns > since_ns ? age_ns - since_ns : 0);
	return true;
}

static uint64_t count_descriptors(void)
{
	uint64_t count = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the directory's own */
}

void weir_usage_read(struct weir_own_usage *out)
{
	struct rlimit limit;
	memset(out, 0, sizeof *out);
	out->known = read_stat(out);
	out->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	out->open_fds = count_descriptors();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		out->max_fds = limit.rlim_cur;
}
