/* SPDX-License-Identifier: MIT */
#include "src/agent/worlds.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "src/agent/instance.h"
#include "weir/gate.h"
#include "weir/log.h"

#define NAME        "state."
#define SUFFIX      17 /* .0123456789abcdef */
#define WORLDS_MAX  1024
#define RECENTLY_NS UINT64_C(2000000000) /* an entry that is younger is in use, whatever is asked for */

/* What stands behind the version in a segment's name, NULL = it is none. */
static const char *suffix_of(const char *name)
{
	size_t digits = strncmp(name, NAME, sizeof NAME - 1) == 0 ? strspn(name + sizeof NAME - 1, "0123456789") : 0;
	const char *suffix = name + sizeof NAME - 1 + digits;
	if (digits == 0)
		return NULL;
	if (*suffix && (*suffix != '.' || strlen(suffix) != SUFFIX || strspn(suffix + 1, "0123456789abcdef") != SUFFIX - 1))
		return NULL;
	return suffix;
}

static uint64_t age(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The last use of any entry. */
static uint64_t idle_time(const struct weir_segment *s, uint64_t now_ns)
{
	char key[WEIR_KEY_MAX];
	uint64_t idle =
		least(age(now_ns, atomic_load(&s->header->agent_seen_ns)), age(now_ns, atomic_load(&s->header->agent_spawn_ns)));
	for (uint32_t slot = 0; slot < s->entries; slot++) {
		if (atomic_load_explicit(&s->index[slot], memory_order_relaxed) == 0 || !weir_entry_key(s, slot, key))
			continue;
		idle = least(idle, age(now_ns, atomic_load_explicit(&s->entry[slot].used_ns, memory_order_relaxed)));
	}
	return idle;
}

static void read_sources(const struct weir_segment *s, struct weir_world_found *f)
{
	struct weir_policy_view view = weir_policy_in_force(s);
	struct stat st;
	if (!view.rules || !view.half)
		return;
	for (uint32_t i = 0; i < view.half->source_count && i < WEIR_SOURCES; i++) {
		char *path = f->source[f->source_count];
		memcpy(path, view.half->source[i].path, WEIR_SOURCE_PATH_MAX - 1);
		f->source_count += path[0] != '\0';
	}
	/* The usual chain has several members, there or not. */
	f->stray = f->world.suffix[0] && f->source_count == 1 && stat(f->source[0], &st) != 0;
}

static void look_at(struct weir_world_found *f)
{
	struct weir_segment s;
	struct stat st;
	struct timespec wall;
	const char *why;
	int err;
	if (lstat(f->world.segment, &st) != 0)
		return;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->bytes = (uint64_t)st.st_blocks * 512;
	if (f->other_version)
		return;
	clock_gettime(CLOCK_REALTIME, &wall);
	f->idle_ns = wall.tv_sec > st.st_mtim.tv_sec ? (uint64_t)(wall.tv_sec - st.st_mtim.tv_sec) * 1000000000U : 0;
	if (weir_segment_open(&s, f->world.segment, false, NULL, &why, &err) != WEIR_SEGMENT_OK)
		return;
	uint64_t now_ns = weir_now_ns();
	f->usable = true;
	f->idle_ns = least(f->idle_ns, idle_time(&s, now_ns));
	f->remembers = weir_entry_any_remembers(&s, RECENTLY_NS, now_ns);
	read_sources(&s, f);
	weir_segment_close(&s);
}

static void count_line(const char *line, struct weir_world_found *found, size_t count, bool counted[])
{
	for (size_t i = 0; i < count; i++) {
		if (counted[i] || !weir_maps_line_is(line, found[i].device, found[i].inode, "/" NAME))
			continue;
		counted[i] = true;
		found[i].processes++;
	}
}

static void count_process(const char *pid, struct weir_world_found *found, size_t count)
{
	char path[300], line[1024];
	bool counted[WORLDS_MAX] = {false};
	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return;
	while (fgets(line, sizeof line, maps))
		count_line(line, found, count, counted);
	fclose(maps);
}

static void count_processes(struct weir_world_found *found, size_t count)
{
	DIR *proc = opendir("/proc");
	for (struct dirent *d; proc && (d = readdir(proc));) {
		if (isdigit((unsigned char)d->d_name[0]))
			count_process(d->d_name, found, count);
	}
	if (proc)
		closedir(proc);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int only_segments(const struct dirent *d)
{
	return suffix_of(d->d_name) != NULL;
}

/* The names of the world; those of another version have a segment of their own beside the other files. */
static bool name_world(const char *dir, const char *name, struct weir_world_found *f)
{
	char segment[WEIR_PATH_MAX];
	if (!weir_world_named(dir, suffix_of(name), &f->world) ||
	    weir_format(segment, sizeof segment, "%s/%s", f->world.dir, name) >= sizeof segment - 1)
		return false;
	f->other_version = strcmp(segment, f->world.segment) != 0;
	memcpy(f->world.segment, segment, sizeof segment);
	return true;
}

static size_t find(const char *dir, const struct weir_world *except, bool others, struct weir_world_found **out)
{
	struct dirent **names;
	int n = scandir(dir, &names, only_segments, by_name);
	size_t count = 0;
	*out = n > 0 ? calloc((size_t)n, sizeof **out) : NULL;
	for (int i = 0; i < n; i++) {
		struct weir_world_found *f = *out && count < WORLDS_MAX ? &(*out)[count] : NULL;
		if (f && name_world(dir, names[i]->d_name, f) && f->other_version == others &&
		    !(except && strcmp(f->world.segment, except->segment) == 0)) {
			/* One agent for all versions, which serves its own. */
			f->agent = others ? 0 : weir_instance_pid(&f->world);
			look_at(f);
			count++;
		} else if (f) {
			memset(f, 0, sizeof *f);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (count > 0)
		count_processes(*out, count);
	return count;
}

size_t weir_worlds_find(const char *dir, const struct weir_world *except, struct weir_world_found **out)
{
	return find(dir, except, false, out);
}

size_t weir_worlds_of_other_versions(const char *dir, struct weir_world_found **out)
{
	return find(dir, NULL, true, out);
}

static bool is_unused(const struct weir_world_found *f, uint64_t idle_ns)
{
	return f->agent == 0 && f->processes == 0 && !f->remembers && f->idle_ns >= idle_ns;
}

bool weir_world_remove(const struct weir_world_found *found, uint64_t idle_ns)
{
	struct weir_instance place;
	struct weir_world_found now;
	char alerts[WEIR_PATH_MAX];
	uint32_t other;
	int err;
	bool gone = false;
	if (found->other_version) {
		if (found->processes > 0 || unlink(found->world.segment) != 0)
			return false;
		weir_log(WEIR_LOG_INFO, "%s, of another version of weir, was removed", found->world.segment);
		return true;
	}
	/* As if an agent: none comes meanwhile, and nobody else removes. */
	if (!is_unused(found, idle_ns) || weir_instance_take(&place, &found->world, &other, &err))
		return false;
	memset(&now, 0, sizeof now);
	now.world = found->world;
	look_at(&now);
	if (now.inode == found->inode && is_unused(&now, idle_ns))
		gone = unlink(found->world.segment) == 0;
	if (gone) {
		weir_log(WEIR_LOG_INFO, "agent: %s, which nobody uses, was removed", found->world.segment);
		unlink(found->world.socket);
		unlink(found->world.lock);
		if (weir_format(alerts, sizeof alerts, "%s/alerts%s", found->world.dir, found->world.suffix) < sizeof alerts - 1)
			unlink(alerts);
	}
	weir_instance_release(&place, &found->world); /* with the pid file */
	return gone;
}

unsigned weir_worlds_tidy(const struct weir_world *own, uint64_t idle_ns)
{
	struct weir_world_found *found;
	size_t count = weir_worlds_find(own->dir, own, &found);
	unsigned removed = 0;
	for (size_t i = 0; i < count; i++)
		removed += weir_world_remove(&found[i], found[i].stray ? least(idle_ns, WEIR_WORLD_STRAY_NS) : idle_ns);
	free(found);
	return removed;
}
