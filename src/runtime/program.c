/* SPDX-License-Identifier: MIT */
/* The `weir` program that belongs to a library or to another copy of itself. */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/runtime/path.h"

static bool runnable(const char *path)
{
	struct stat st;

	return weir_stat(path, &st) == 0 && S_ISREG(st.st_mode) && weir_may_execute(path);
}

const char *weir_program_find(const char *self, char out[WEIR_PATH_MAX])
{
	/* Seen from the object: a build directory, PREFIX/lib, PREFIX/lib/weir. */
	static const char *const places[] = {"/weir", "/../bin/weir", "/../../bin/weir"};
	char directory[WEIR_PATH_MAX];
	char *slash;

	/* A name without a slash says nothing about the place; the working directory is not it. */
	if (self && strchr(self, '/') && weir_path_absolute(directory, self)) {
		slash = strrchr(directory, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
			if (weir_path_join(out, directory, places[i], "") && runnable(out))
				return weir_path_trusted(out, weir_geteuid());
		}
	}
	if (weir_path_join(out, WEIR_BINDIR, "/weir", "") && runnable(out))
		return weir_path_trusted(out, weir_geteuid());
	out[0] = '\0';
	return "there is none";
}
