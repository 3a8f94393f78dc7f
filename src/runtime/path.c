/* SPDX-License-Identifier: MIT */
#include "src/runtime/path.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "weir/kernel.h"

bool weir_path_given(const char *value)
{
	return value && value[0] != '\0';
}

bool weir_path_join(char out[WEIR_PATH_MAX], const char *a, const char *b, const char *c)
{
	const char *const parts[] = {a, b, c};
	size_t used = 0;

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		size_t length = strlen(parts[i]);

		if (used + length >= WEIR_PATH_MAX) {
			out[0] = '\0';
			return false;
		}
		memcpy(out + used, parts[i], length);
		used += length;
	}
	out[used] = '\0';
	return true;
}

/* Takes empty and "." components out of an absolute path, in place. */
static void tidy(char *path)
{
	size_t to = 0;

	for (size_t from = 0; path[from] != '\0';) {
		size_t length;

		while (path[from] == '/')
			from++;
		length = strcspn(path + from, "/");
		if (length > 0 && !(length == 1 && path[from] == '.')) {
			path[to++] = '/';
			memmove(path + to, path + from, length);
			to += length;
		}
		from += length;
	}
	if (to == 0)
		path[to++] = '/';
	path[to] = '\0';
}

bool weir_path_absolute(char out[WEIR_PATH_MAX], const char *path)
{
	char directory[WEIR_PATH_MAX] = "";

	if (path[0] != '/' && !weir_getcwd(directory, sizeof directory)) {
		out[0] = '\0';
		return false;
	}
	/* A directory outside of the root of a chroot shows up as "(unreachable)/...". */
	if (path[0] != '/' && directory[0] != '/') {
		out[0] = '\0';
		return false;
	}
	if (!weir_path_join(out, directory, path[0] == '/' ? "" : "/", path))
		return false;
	tidy(out);
	return true;
}
