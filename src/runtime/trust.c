/* SPDX-License-Identifier: MIT */
/* Whether what is at a path can have been put there by somebody else. */
#include "weir/runtime.h"

#include <string.h>
#include <sys/stat.h>

#include "src/runtime/path.h"
#include "weir/kernel.h"

/* A user's private group has the user's number; who is in root's group is as good as root. */
static bool closed_to_others(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) == 0 && ((st->st_mode & S_IWGRP) == 0 || st->st_gid == 0 || st->st_gid == st->st_uid);
}

static bool owner_is(const struct stat *st, uid_t uid)
{
	return st->st_uid == 0 || st->st_uid == uid;
}

const char *weir_path_trusted(const char *path, uid_t uid)
{
	char at[WEIR_PATH_MAX];
	struct stat st;
	bool nearest = true;
	size_t length = strlen(path);

	if (path[0] != '/' || length >= sizeof at)
		return "its path is not absolute, or too long";
	if (weir_stat(path, &st) != 0)
		return "it cannot be looked at";
	if (!owner_is(&st, uid))
		return "it belongs to another user";
	if (!closed_to_others(&st))
		return "others may write it";
	memcpy(at, path, length + 1);
	while (length > 1) {
		while (length > 0 && at[length - 1] != '/')
			length--;
		while (length > 1 && at[length - 1] == '/')
			length--;
		at[length] = '\0';
		if (weir_stat(at, &st) != 0)
			return "its directory cannot be looked at";
		if (!owner_is(&st, uid))
			return "its directory, or one above, belongs to another user";
		/* Who may only add to a directory (/tmp) cannot put anything in the place of a directory of ours. */
		if (!closed_to_others(&st) && (nearest || (st.st_mode & S_ISVTX) == 0))
			return "others may write to its directory, or to one above";
		nearest = false;
	}
	return NULL;
}
