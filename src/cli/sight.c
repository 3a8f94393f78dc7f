/* SPDX-License-Identifier: MIT */
#include "src/cli/sight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "weir/log.h"

/* Whether set-id bits and file capabilities count for that file. */
static bool rights_count(const char *file)
{
	struct statvfs st;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	return statvfs(file, &st) != 0 || (st.f_flag & ST_NOSUID) == 0;
}

/* Root has all capabilities before and after, and glibc is told nothing. */
static bool has_capabilities(const char *file)
{
	return getuid() != 0 && getxattr(file, "security.capability", NULL, 0) > 0;
}

/* Run by root these are nothing special to the kernel, and still none of what they start is seen. Their manual pages, under
 * "environment", say so. */
static bool cleans_environment(const char *path)
{
	static const char *const names[] = {"sudo", "doas", "pkexec"};
	const char *slash = strrchr(path, '/');
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(slash ? slash + 1 : path, names[i]) == 0)
			return true;
	return false;
}

enum weir_sight weir_sight_of(const char *command, struct weir_executable *x, char path[WEIR_PATH_MAX], const char **why)
{
	char link[64];
	int fd = weir_executable_find(command, getenv("PATH"), x);
	*why = NULL;
	path[0] = '\0';
	if (fd < 0)
		return WEIR_SIGHT_ABSENT;
	weir_format(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, WEIR_PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	bool secure = (x->set_id || has_capabilities(link)) && rights_count(link);
	close(fd);
	*why = weir_elf_unfit(&x->elf);
	if (*why)
		return WEIR_SIGHT_UNFIT;
	*why = weir_elf_unseen(&x->elf);
	if (!*why && secure)
		*why = x->set_id ? "it is set-user-ID or set-group-ID, and the dynamic linker then ignores LD_PRELOAD, for its "
				   "children as well"
				 : "it has file capabilities, and the dynamic linker then ignores LD_PRELOAD, for its children "
				   "as well";
	if (!*why && cleans_environment(path))
		*why = "it starts its command with an environment of its own, without LD_PRELOAD";
	return *why ? WEIR_SIGHT_UNSEEN : WEIR_SIGHT_SEEN;
}
