/* SPDX-License-Identifier: MIT */
/*
 * The environment of the program that this process is about to become or to start: the library stays in its LD_PRELOAD.
 *
 * A launcher that has a library of its own to preload and overwrites the variable (trickle, fakeroot) gets ours put in front, so
 * that what it starts is limited as well. One that takes the variable away, or empties it, means it: `env -i`, `env -u
 * LD_PRELOAD`, an environment made from nothing stay as they are; so does what is to run with WEIR_DISABLE. Only where this
 * process itself was started with the library there, and has the user it was started as.
 *
 * From a program that would not start with the library, or complain of it (musl, 32-bit, AddressSanitizer: weir/elf.h), it is
 * kept away. So it is where a seccomp filter of this process, which the new program inherits and cannot read, would kill it for
 * something that the library does.
 *
 * May run in signal handlers and in the child of a vfork: no lock, no heap, no pages. The memory is the caller's stack, and only
 * where something changes.
 */
#ifndef WEIR_CHILD_H
#define WEIR_CHILD_H

#include <stdbool.h>
#include <stddef.h>

/* What is to be executed, as the call names it. */
struct weir_target {
	const char *path; /* or NULL: fd alone */
	int directory;    /* from which a relative path leads; AT_FDCWD */
	int fd;           /* with path NULL */
	bool search;      /* a path without a slash is looked up in PATH */
	bool empty_is_directory;
};

struct weir_child {
	size_t at, count; /* LD_PRELOAD in the environment, entries of it */
	const char *own;  /* the library */
	bool put;         /* it goes in front of the list; else it is taken out */
	size_t bytes;     /* of memory that weir_child_environment wants; 0: the environment stays as it is */
};

/* env may be NULL. Opens the target and reads its headers: microseconds. Changes errno. */
void weir_child_look(struct weir_child *c, const struct weir_target *target, char *const env[]);

/* `bytes`, where the caller's stack may take as much, or 0, which is told in the log. */
size_t weir_child_text(size_t bytes);

/* The environment to be given, in `memory` of c->bytes, which is not 0. Entries that do not change are not copied. */
char **weir_child_environment(const struct weir_child *c, void *memory, char *const env[]);

#endif
