/* SPDX-License-Identifier: MIT */
/*
 * Notices changes of the configuration files by inotify on their directories, so that a file that an editor renames into place,
 * creates or removes is seen as well. A directory that does not exist is awaited in its nearest existing parent. What inotify
 * cannot tell (the target of a symbolic link, a network file system) the agent finds by stat once a second.
 */
#ifndef WEIR_AGENT_WATCH_H
#define WEIR_AGENT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/runtime.h"
#include "weir/segment.h"

#define WEIR_WATCHES (2 * WEIR_SOURCES)

struct weir_watch {
	int fd; /* -1: no inotify; then the stat has to do */
	bool stale;
	uint32_t count, wanted;
	int descriptor[WEIR_WATCHES];
	char directory[WEIR_WATCHES][WEIR_PATH_MAX];
	char path[WEIR_SOURCES][WEIR_PATH_MAX]; /* what is waited for */
};

void weir_watch_init(struct weir_watch *w);

/* Watches for changes of these files from now on. Whatever happened before the call is the caller's to find (by stat, after it).
 */
void weir_watch_set(struct weir_watch *w, const struct weir_source *sources, uint32_t count);

/* Reads what inotify has. Returns whether any of it may concern the files. Never blocks. */
bool weir_watch_drain(struct weir_watch *w);

void weir_watch_close(struct weir_watch *w);

#endif
