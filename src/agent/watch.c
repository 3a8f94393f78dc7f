/* SPDX-License-Identifier: MIT */
#include "src/agent/watch.h"

#include <stdalign.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/log.h"

/* Not IN_MODIFY: a file that is being written is half a configuration; IN_CLOSE_WRITE says when it is whole. */
#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

void weir_watch_init(struct weir_watch *w)
{
	memset(w, 0, sizeof *w);
	w->fd = -1;
}

void weir_watch_close(struct weir_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* Cuts the last component off; "/" stays. */
static void to_parent(char *path)
{
	char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		memcpy(path, "/", 2);
	else
		*slash = '\0';
}

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void watch_directory(struct weir_watch *w, const char *directory)
{
	for (uint32_t i = 0; i < w->count; i++)
		if (strcmp(w->directory[i], directory) == 0)
			return;
	if (w->count == WEIR_WATCHES)
		return;
	int wd = inotify_add_watch(w->fd, directory, EVENTS);
	if (wd < 0)
		return;
	w->descriptor[w->count] = wd;
	weir_format(w->directory[w->count], WEIR_PATH_MAX, "%s", directory);
	w->count++;
}

void weir_watch_set(struct weir_watch *w, const struct weir_source *sources, uint32_t count)
{
	/* Built anew each time: a set of watches that is mended after every rename is a set that is wrong after some of them. */
	weir_watch_close(w);
	w->count = w->wanted = 0;
	w->stale = false;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0)
		return;
	for (uint32_t i = 0; i < count && i < WEIR_SOURCES; i++) {
		if (!sources[i].path[0])
			continue;
		char *path = w->path[w->wanted++];
		weir_format(path, WEIR_PATH_MAX, "%s", sources[i].path);
		if (is_directory(path))
			watch_directory(w, path);
		char parent[WEIR_PATH_MAX];
		weir_format(parent, sizeof parent, "%s", path);
		do
			to_parent(parent);
		while (!is_directory(parent) && strcmp(parent, "/") != 0);
		watch_directory(w, parent);
	}
}

/* Whether `changed` is one of the files, a directory above one, or something in a directory that is itself a source. */
static bool concerns(const struct weir_watch *w, const char *changed)
{
	size_t n = strlen(changed);
	for (uint32_t i = 0; i < w->wanted; i++) {
		size_t m = strlen(w->path[i]);
		if (strncmp(w->path[i], changed, n) == 0 && (w->path[i][n] == '\0' || w->path[i][n] == '/'))
			return true;
		if (n > m && strncmp(w->path[i], changed, m) == 0 && changed[m] == '/')
			return true;
	}
	return false;
}

static bool event_concerns(struct weir_watch *w, const struct inotify_event *e)
{
	if (e->mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
		w->stale = true;
		return true;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		if (w->descriptor[i] != e->wd)
			continue;
		char changed[WEIR_PATH_MAX];
		const char *directory = strcmp(w->directory[i], "/") == 0 ? "" : w->directory[i];
		if (e->len == 0)
			return true;
		weir_format(changed, sizeof changed, "%s/%s", directory, e->name);
		if (concerns(w, changed))
			return true;
	}
	return false;
}

bool weir_watch_drain(struct weir_watch *w)
{
	alignas(struct inotify_event) char buffer[4096];
	bool any = false;
	if (w->fd < 0)
		return false;
	/* At most sixteen buffers a call: a directory somebody else writes to without end must not keep the agent here. */
	for (int turn = 0; turn < 16; turn++) {
		ssize_t n = read(w->fd, buffer, sizeof buffer);
		if (n <= 0)
			break;
		for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)(buffer + at);
			any = event_concerns(w, e) || any;
			at += (ssize_t)(sizeof *e + e->len);
		}
	}
	return any;
}
