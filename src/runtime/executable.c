/* SPDX-License-Identifier: MIT */
/* The file that runs when a command is executed. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/runtime/path.h"
#include "weir/elf.h"
#include "weir/kernel.h"

#define SCRIPTS_MAX  5 /* the kernel follows as many */
#define PLACES_MAX   128
#define USUAL_PLACES "/usr/local/bin:/usr/bin:/bin"

/* Regular files alone: opening a FIFO or a device may block or do something. One that may be executed and not read tells its mode
 * all the same. */
static int open_regular(const char *path)
{
	int fd = (int)weir_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == EACCES)
		fd = (int)weir_syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (weir_fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	weir_syscall(SYS_close, fd);
	errno = EACCES;
	return -1;
}

static __attribute__((noinline)) int open_in(const char *directory, size_t length, const char *name)
{
	char path[WEIR_PATH_MAX];
	size_t rest = strlen(name);

	if (length + rest + 2 > sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, directory, length);
	path[length] = '/';
	memcpy(path + length + (length > 0), name, rest + 1);
	if (weir_syscall(SYS_faccessat, AT_FDCWD, path, X_OK) != 0)
		return -1;
	return open_regular(path);
}

static int open_command(const char *command, const char *search)
{
	int why = ENOENT;

	if (strchr(command, '/'))
		return weir_syscall(SYS_faccessat, AT_FDCWD, command, X_OK) == 0 ? open_regular(command) : -1;
	if (!search)
		search = USUAL_PLACES;
	for (unsigned i = 0; i < PLACES_MAX && command[0] != '\0'; i++) {
		size_t length = strcspn(search, ":");
		int fd = length ? open_in(search, length, command) : open_in(".", 1, command);

		if (fd >= 0)
			return fd;
		if (errno == EACCES)
			why = EACCES;
		if (search[length] == '\0')
			break;
		search += length + 1;
	}
	errno = why;
	return -1;
}

/* What `env ARGUMENT` of a script would start: the first word that is neither an option nor sets a variable. */
static bool behind_env(const struct weir_elf *script, char out[96])
{
	const char *slash = strrchr(script->interpreter, '/'), *at = script->argument;

	if (strcmp(slash ? slash + 1 : script->interpreter, "env") != 0)
		return false;
	for (;;) {
		size_t length;

		at += strspn(at, " \t");
		if (strncmp(at, "-S", 2) == 0)
			at += 2 + strspn(at + 2, " \t");
		length = strcspn(at, " \t");
		if (length == 0 || length >= 96)
			return false;
		if (at[0] != '-' && !memchr(at, '=', length)) {
			memcpy(out, at, length);
			out[length] = '\0';
			return true;
		}
		at += length;
	}
}

/* Whether the kernel would give it other rights than this process has, and tell glibc so (AT_SECURE). */
static bool gains_rights(int fd)
{
	struct stat st;

	if (weir_fstat(fd, &st) != 0)
		return false;
	if ((st.st_mode & S_ISUID) && (uid_t)weir_syscall(SYS_getuid) != st.st_uid)
		return true;
	return (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && (gid_t)weir_syscall(SYS_getgid) != st.st_gid;
}

/* Follows scripts from `fd`, which is closed when another file takes its place. */
static int follow(int fd, bool own, const char *search, struct weir_executable *out)
{
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i <= SCRIPTS_MAX; i++) {
		char name[96];
		int next;

		weir_elf_read(fd, &out->elf);
		out->set_id = gains_rights(fd);
		if (out->elf.kind != WEIR_ELF_SCRIPT)
			return fd;
		out->script = true;
		out->where++;
		next = behind_env(&out->elf, name) ? open_command(name, search) : open_regular(out->elf.interpreter);
		if (own || i > 0)
			weir_syscall(SYS_close, fd);
		if (next < 0)
			return -1;
		fd = next;
	}
	weir_syscall(SYS_close, fd);
	errno = ELOOP;
	return -1;
}

int weir_executable_find(const char *command, const char *search, struct weir_executable *out)
{
	int fd = open_command(command, search);

	memset(out, 0, sizeof *out);
	return fd < 0 ? -1 : follow(fd, true, search, out);
}

bool weir_executable_of(int fd, const char *search, struct weir_executable *out)
{
	int last = follow(fd, false, search, out);

	if (last >= 0 && last != fd)
		weir_syscall(SYS_close, last);
	return last >= 0;
}
