/* SPDX-License-Identifier: MIT */
#include "src/cli/library.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/log.h"

static bool try_path(char out[WEIR_PATH_MAX], const char *directory, const char *below)
{
	char path[WEIR_PATH_MAX], real[4096];
	if (weir_format(path, sizeof path, "%s/%s", directory, below) >= sizeof path - 1)
		return false;
	if (access(path, R_OK) != 0 || !realpath(path, real) || strlen(real) >= WEIR_PATH_MAX)
		return false;
	memcpy(out, real, strlen(real) + 1);
	return true;
}

const char *weir_library_find(char out[WEIR_PATH_MAX])
{
	char self[WEIR_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n > 0 && n < (ssize_t)sizeof self - 1) {
		self[n] = '\0';
		const char *directory = dirname(self);
		if (try_path(out, directory, "libweir.so") || try_path(out, directory, "../lib/weir/libweir.so"))
			return weir_path_trusted(out, geteuid());
	}
	if (try_path(out, WEIR_LIBDIR, "libweir.so"))
		return weir_path_trusted(out, geteuid());
	out[0] = '\0';
	return "not beside this program, not in ../lib/weir and not in " WEIR_LIBDIR;
}

/* Whether the list (items divided by spaces and colons) holds the item. */
static bool lists(const char *list, const char *item)
{
	size_t n = strlen(item);
	for (const char *at = list; *at;) {
		size_t length = strcspn(at, ": ");
		if (length == n && strncmp(at, item, n) == 0)
			return true;
		at += length;
		at += strspn(at, ": ");
	}
	return false;
}

const char *weir_library_preload(const char *library)
{
	/* ld.so(8): the list's items are divided by spaces or colons, and neither can be escaped. */
	if (strpbrk(library, ": "))
		return "its path holds a colon or a space, which LD_PRELOAD cannot express; install weir elsewhere";
	const char *before = getenv("LD_PRELOAD");
	if (!before || !before[0])
		return setenv("LD_PRELOAD", library, 1) == 0 ? NULL : "out of memory";
	if (lists(before, library))
		return NULL;
	char *list = NULL;
	if (asprintf(&list, "%s:%s", library, before) < 0)
		return "out of memory";
	int failed = setenv("LD_PRELOAD", list, 1);
	free(list);
	return failed ? "out of memory" : NULL;
}

void weir_library_withdraw(const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	char *list = before ? strdup(before) : NULL;
	size_t to = 0, n = strlen(library);
	if (!list)
		return;
	for (const char *at = before; *at;) {
		size_t length = strcspn(at, ": ");
		if (length > 0 && (length != n || strncmp(at, library, n) != 0)) {
			list[to] = ':';
			to += to > 0;
			memcpy(list + to, at, length);
			to += length;
		}
		at += length;
		at += strspn(at, ": ");
	}
	list[to] = '\0';
	if (to > 0)
		setenv("LD_PRELOAD", list, 1);
	else
		unsetenv("LD_PRELOAD");
	free(list);
}

bool weir_library_version(const char *library, char out[32])
{
	static const char mark[] = "weir-version=";
	struct stat st;
	int fd = open(library, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		size_t bytes = (size_t)st.st_size;
		char *file = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		const char *at = file == MAP_FAILED ? NULL : memmem(file, bytes, mark, sizeof mark - 1);
		if (at) {
			at += sizeof mark - 1;
			length = strnlen(at, bytes - (size_t)(at - file));
			if (length < 32)
				memcpy(out, at, length);
		}
		if (file != MAP_FAILED)
			munmap(file, bytes);
	}
	if (fd >= 0)
		close(fd);
	if (length >= 32)
		length = 0;
	out[length] = '\0';
	return length > 0;
}
