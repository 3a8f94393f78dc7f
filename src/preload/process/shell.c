/* SPDX-License-Identifier: MIT */
/*
 * Hooks of system and popen, which start a shell inside the C library, past the hooks of exec and posix_spawn, with the
 * environment as it is. A program that has overwritten LD_PRELOAD since it was started would lose the library there.
 *
 * The environment is shared by all threads, so it is not touched: not for the time that a command runs, and not for the moment in
 * which a shell is started either. Instead the shell is told to put the library in front of the list, for what it starts; of its
 * own it asks no host. Only in such a program: everybody else's command goes on as it came.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/readable.h"
#include "src/preload/process/child.h"

/* On a line with the command, whose lines keep their numbers in what the shell says of them. */
#define KEPT_FROM "export LD_PRELOAD='"
#define KEPT_TO   "':\"$LD_PRELOAD\"; "
/* Where a filter would kill for what the library does: the shell itself has it and asks no host, what it starts is exempt. */
#define EXEMPT "export WEIR_DISABLE=1; "

/* Bytes that the command takes with what goes before it; 0: it stays as it is. */
static size_t bytes_of(struct weir_child *c, const char *command)
{
	const struct weir_target shell = {.path = "/bin/sh", .directory = AT_FDCWD, .fd = -1};

	if (!command || !weir_readable(command, 1))
		return 0;
	weir_child_look(c, &shell, environ);
	if (c->bytes == 0 || (c->put && strchr(c->own, '\'')))
		return 0;
	return weir_child_text(sizeof KEPT_FROM + sizeof KEPT_TO + sizeof EXEMPT + strlen(c->own) + strlen(command));
}

static const char *put(char *out, const struct weir_child *c, const char *command)
{
	const char *const kept[] = {KEPT_FROM, c->own, KEPT_TO, command}, *const exempt[] = {EXEMPT, command};
	const char *const *parts = c->put ? kept : exempt;
	size_t count = c->put ? sizeof kept / sizeof kept[0] : sizeof exempt / sizeof exempt[0];
	char *to = out;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(parts[i]);

		memcpy(to, parts[i], length);
		to += length;
	}
	*to = '\0';
	return out;
}

/* The command to be given, on the stack of the caller. */
#define COMMAND_FOR(command)                                                                                                     \
	({                                                                                                                       \
		struct weir_child child;                                                                                         \
		int saved_errno = errno;                                                                                         \
		size_t bytes = bytes_of(&child, (command));                                                                      \
                                                                                                                                 \
		errno = saved_errno;                                                                                             \
		bytes > 0 ? put(__builtin_alloca(bytes), &child, (command)) : (command);                                         \
	})

WEIR_HOOK int system(const char *command)
{
	const struct weir_libc *libc = weir_libc();

	if (!libc->system) {
		errno = ENOSYS;
		return -1;
	}
	return libc->system(COMMAND_FOR(command));
}

WEIR_HOOK FILE *popen(const char *command, const char *modes)
{
	const struct weir_libc *libc = weir_libc();

	if (!libc->popen) {
		errno = ENOSYS;
		return NULL;
	}
	return libc->popen(COMMAND_FOR(command), modes);
}
