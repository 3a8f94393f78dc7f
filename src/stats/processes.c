/* SPDX-License-Identifier: MIT */
#include "src/stats/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "src/stats/entry_view.h"
#include "weir/log.h"
#include "weir/runtime.h"

#define AT_ONCE      64
#define MAPS_LINE    1024
#define SEGMENT_PART "/state."

/* A free place at the end; NULL when memory is short. */
static struct weir_process_view *append(struct weir_processes *p, size_t *room)
{
	if (p->count == *room) {
		size_t more = *room ? *room * 2 : AT_ONCE;
		struct weir_process_view *grown = reallocarray(p->view, more, sizeof *grown);
		if (!grown)
			return NULL;
		p->view = grown;
		*room = more;
	}
	struct weir_process_view *v = &p->view[p->count++];
	memset(v, 0, sizeof *v);
	return v;
}

static void name_process(struct weir_process_view *v)
{
	if (v->foreign || !weir_process_name(v->pid, v->name, &v->stopped))
		weir_format(v->name, sizeof v->name, "?");
}

static void name_host(const struct weir_segment *s, const struct weir_policy_view *policy, uint32_t slot,
		      struct weir_process_view *v)
{
	if (slot == WEIR_NONE || !weir_entry_key(s, slot, v->host))
		return;
	uint32_t rule = weir_entry_rule(policy, v->host);
	if (rule != WEIR_NONE)
		weir_make_printable(v->rule, weir_format(v->rule, sizeof v->rule, "%.*s", (int)(sizeof v->rule - 1),
							 policy->rules[rule].match));
}

static bool take_underway(const struct weir_segment *s, uint32_t except, uint64_t now_ns, struct weir_processes *p, size_t *room)
{
	struct weir_policy_view policy = weir_policy_in_force(s);
	struct weir_underway underway[AT_ONCE];
	struct weir_owner self;
	uint32_t next = 0;
	weir_owner_self(&self);
	for (size_t n; (n = weir_lease_list(s, &next, underway, AT_ONCE)) > 0;) {
		for (size_t i = 0; i < n; i++) {
			const struct weir_underway *u = &underway[i];
			bool foreign = u->pid_namespace != 0 && self.pid_namespace != 0 && u->pid_namespace != self.pid_namespace;
			if (u->pid == except && !foreign)
				continue;
			struct weir_process_view *v = append(p, room);
			if (!v)
				return false;
			v->activity = u->waiting ? WEIR_PROCESS_WAITS : WEIR_PROCESS_IN_FLIGHT;
			v->pid = u->pid;
			v->foreign = foreign;
			v->since_ns = u->begun_ns < now_ns ? now_ns - u->begun_ns : 0;
			v->cause = u->cause;
			v->ends_ns = u->until_ns > now_ns && u->until_ns != WEIR_NEVER ? u->until_ns - now_ns : 0;
			name_process(v);
			name_host(s, &policy, u->slot, v);
		}
	}
	return true;
}

/* Whether it has both the segment and the library: the agent and the command line have the segment alone. */
static bool is_under_weir(const char *pid, const struct weir_segment *s)
{
	char path[300], line[MAPS_LINE];
	bool segment = false, library = false;
	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!(segment && library) && fgets(line, sizeof line, maps)) {
		segment = segment || weir_maps_line_is(line, (dev_t)s->device, (ino_t)s->inode, SEGMENT_PART);
		library = library || strstr(line, "/libweir.so");
	}
	fclose(maps);
	return segment && library;
}

static bool is_listed(const struct weir_processes *p, size_t count, uint32_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (p->view[i].pid == pid && !p->view[i].foreign)
			return true;
	return false;
}

static bool take_idle(const struct weir_segment *s, uint32_t except, struct weir_processes *p, size_t *room)
{
	size_t underway = p->count;
	bool good = true;
	DIR *proc = opendir("/proc");
	for (struct dirent *d; good && proc && (d = readdir(proc));) {
		uint32_t pid = isdigit((unsigned char)d->d_name[0]) ? (uint32_t)strtoul(d->d_name, NULL, 10) : 0;
		if (pid == 0 || pid == except || is_listed(p, underway, pid) || !is_under_weir(d->d_name, s))
			continue;
		struct weir_process_view *v = append(p, room);
		good = v != NULL;
		if (!good)
			break;
		v->activity = WEIR_PROCESS_IDLE;
		v->pid = pid;
		name_process(v);
	}
	if (proc)
		closedir(proc);
	return good;
}

static int in_order(const void *x, const void *y)
{
	const struct weir_process_view *a = x, *b = y;
	if (a->activity != b->activity)
		return a->activity < b->activity ? -1 : 1;
	if (a->since_ns != b->since_ns)
		return a->since_ns > b->since_ns ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

bool weir_processes_take(const struct weir_segment *s, uint32_t except, uint64_t now_ns, struct weir_processes *out)
{
	size_t room = 0;
	memset(out, 0, sizeof *out);
	if (!take_underway(s, except, now_ns, out, &room) || !take_idle(s, except, out, &room)) {
		weir_processes_free(out);
		return false;
	}
	if (out->count > 0)
		qsort(out->view, out->count, sizeof *out->view, in_order);
	return true;
}

void weir_processes_free(struct weir_processes *p)
{
	free(p->view);
	memset(p, 0, sizeof *p);
}
