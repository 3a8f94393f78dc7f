/* SPDX-License-Identifier: MIT */
#include "src/stats/run_summary.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRONMENT_MAX (1 << 20)

uint64_t weir_summary_requests(const struct weir_summary_view *v)
{
	uint64_t refused = 0;
	for (size_t i = 0; i < WEIR_SUMMARY_CAUSES; i++)
		refused += v->refused[i];
	return v->count[WEIR_SUMMARY_ADMITTED] + refused;
}

double weir_summary_waited_percent(const struct weir_summary_view *v)
{
	double waited = (double)v->count[WEIR_SUMMARY_WAITED_US], took = waited + (double)v->count[WEIR_SUMMARY_LATENCY_US];
	return took > 0 ? 100 * waited / took : 0;
}

static uint64_t answers(const struct weir_summary_view *v)
{
	return v->count[WEIR_SUMMARY_SUCCEEDED] + v->count[WEIR_SUMMARY_THROTTLED] + v->count[WEIR_SUMMARY_FAILED];
}

static double mean_us(const struct weir_summary_view *v)
{
	return answers(v) ? (double)v->count[WEIR_SUMMARY_LATENCY_US] / (double)answers(v) : 0;
}

static void add(struct weir_summary_view *all, const struct weir_summary_view *v)
{
	for (size_t i = 0; i < WEIR_SUMMARY_COUNTS; i++) {
		if (i != WEIR_SUMMARY_LONGEST_WAIT_US && i != WEIR_SUMMARY_LONGEST_LATENCY_US)
			all->count[i] += v->count[i];
		else if (v->count[i] > all->count[i])
			all->count[i] = v->count[i];
	}
	for (size_t i = 0; i < WEIR_SUMMARY_CAUSES; i++)
		all->refused[i] += v->refused[i];
}

static int in_order(const void *x, const void *y)
{
	const struct weir_summary_view *a = x, *b = y;
	uint64_t n = weir_summary_requests(a), m = weir_summary_requests(b);
	if (a->others != b->others)
		return a->others ? 1 : -1;
	return n != m ? (n > m ? -1 : 1) : strcmp(a->name, b->name);
}

void weir_run_summary_take(const struct weir_summary *s, struct weir_run_summary *out)
{
	memset(out, 0, sizeof *out);
	for (uint32_t row = 1; row <= WEIR_SUMMARY_HOSTS + 1; row++)
		if (weir_summary_read(s, row, &out->host[out->hosts]))
			add(&out->all, &out->host[out->hosts++]);
	qsort(out->host, out->hosts, sizeof out->host[0], in_order);
	for (size_t i = 0; i < out->hosts; i++)
		if (answers(&out->host[i]) && (!out->slowest || mean_us(&out->host[i]) > mean_us(out->slowest)))
			out->slowest = &out->host[i];
}

/* Whether the process was started with the variable. */
static bool has(const char *pid, const char *variable, char *room)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(room, 1, ENVIRONMENT_MAX - 1, f), length = strlen(variable);
	fclose(f);
	room[n] = '\0';
	for (size_t at = 0; at < n; at += strlen(room + at) + 1)
		if (strncmp(room + at, variable, length) == 0 && room[at + length] == '\0')
			return true;
	return false;
}

bool weir_run_process(pid_t pid, const char *variable)
{
	char name[32], *room = malloc(ENVIRONMENT_MAX);
	snprintf(name, sizeof name, "%d", (int)pid);
	bool is = room && has(name, variable, room);
	free(room);
	return is;
}

unsigned weir_run_processes(const char *variable)
{
	char *room = malloc(ENVIRONMENT_MAX);
	DIR *proc = room ? opendir("/proc") : NULL;
	unsigned count = 0;
	for (struct dirent *d; proc && (d = readdir(proc));)
		if (isdigit((unsigned char)d->d_name[0]) && strtol(d->d_name, NULL, 10) != getpid())
			count += has(d->d_name, variable, room);
	if (proc)
		closedir(proc);
	free(room);
	return count;
}

void weir_run_summaries_tidy(const char *dir)
{
	char path[4096];
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		int n = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (strncmp(e->d_name, WEIR_RUN_SUMMARY_NAME, sizeof WEIR_RUN_SUMMARY_NAME - 1) == 0 && n > 0 &&
		    (size_t)n < sizeof path)
			weir_summary_remove_stale(path);
	}
	if (d)
		closedir(d);
}
