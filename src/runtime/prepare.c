/* SPDX-License-Identifier: MIT */
/* The runtime directory: there, ours, and closed to others; or not used at all. */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/runtime/path.h"

/* lstat, as a symbolic link in /tmp may be anybody's. NULL, or what is wrong. */
static const char *look(const char *dir, uid_t uid, int *err)
{
	struct stat st;

	if (weir_lstat(dir, &st) != 0) {
		*err = errno;
		return "cannot be looked at";
	}
	if (S_ISLNK(st.st_mode))
		return "is a symbolic link";
	if (!S_ISDIR(st.st_mode))
		return "is not a directory";
	if (st.st_uid != uid)
		return "belongs to another user";
	if ((st.st_mode & 0777) != 0700)
		return "its mode is not 0700";
	return NULL;
}

const char *weir_runtime_prepare(const char *dir, uid_t uid, int *err)
{
	char path[WEIR_PATH_MAX];
	const char *wrong;

	*err = 0;
	if (dir[0] != '/')
		return "is not an absolute path";
	/* Without slashes at the end, which would make lstat follow a symbolic link. */
	if (!weir_path_absolute(path, dir)) {
		*err = ENAMETOOLONG;
		return "is too long a path";
	}
	wrong = look(path, uid, err);
	if (*err != ENOENT)
		return wrong;
	*err = 0;
	if (weir_mkdir(path, 0700) == 0) {
		wrong = look(path, uid, err);
		if (wrong)
			weir_unlink(path, AT_REMOVEDIR); /* an umask that takes the owner's bits: leave nothing behind that is
							    wrong for ever */
		return wrong;
	}
	/* Somebody was faster, which is as good if it was one of us; otherwise the reason is mkdir's. */
	if (errno == EEXIST)
		return look(path, uid, err);
	*err = errno;
	return "cannot be created";
}
