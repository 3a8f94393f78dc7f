/* SPDX-License-Identifier: MIT */
/*
 * A socket's address holds 107 bytes of a path, and runtime directories may be deeper. What the kernel is given then leads
 * through an open descriptor of the directory, /proc/self/fd/N/NAME, which is short however deep the directory is.
 */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <string.h>

#include "weir/log.h"

#include "src/runtime/path.h"

bool weir_socket_name(const char *path, struct weir_socket_name *out)
{
	char directory[WEIR_PATH_MAX];
	const char *slash = strrchr(path, '/');

	out->directory = -1;
	if (strlen(path) < sizeof out->path) {
		memcpy(out->path, path, strlen(path) + 1);
		return true;
	}
	if (!slash || slash == path || !weir_path_join(directory, path, "", "")) {
		errno = ENAMETOOLONG;
		return false;
	}
	directory[slash - path] = '\0';
	out->directory = weir_open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (out->directory < 0)
		return false;
	if (weir_format(out->path, sizeof out->path, "/proc/self/fd/%d%s", out->directory, slash) < sizeof out->path - 1)
		return true;
	weir_socket_name_end(out);
	errno = ENAMETOOLONG;
	return false;
}

void weir_socket_name_end(struct weir_socket_name *name)
{
	if (name->directory >= 0)
		weir_close(name->directory);
	name->directory = -1;
}
