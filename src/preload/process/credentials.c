/* SPDX-License-Identifier: MIT */
/*
 * Hooks of what takes rights or a file system away: after them the process could no longer find or open its segment, or would
 * find another user's. It is mapped before, so that the program keeps the budget that it was started under.
 *
 * Only where something changes: these calls do nothing to a process without rights, and many make them all the same.
 */
#include <errno.h>
#include <grp.h>
#include <sys/types.h>
#include <unistd.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "weir/kernel.h"

static void settle_in(void)
{
	int saved = errno;

	if (!weir_disabled() && weir_geteuid() == 0)
		weir_attach();
	errno = saved;
}

static int missing(void)
{
	errno = ENOSYS;
	return -1;
}

#define CREDENTIALS(name, parameters, arguments)                                                                                 \
	WEIR_HOOK int name parameters                                                                                            \
	{                                                                                                                        \
		const struct weir_libc *libc = weir_libc();                                                                      \
                                                                                                                                 \
		settle_in();                                                                                                     \
		return libc->name ? libc->name arguments : missing();                                                            \
	}

CREDENTIALS(setuid, (uid_t user), (user))
CREDENTIALS(seteuid, (uid_t user), (user))
CREDENTIALS(setreuid, (uid_t real, uid_t effective), (real, effective))
CREDENTIALS(setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved))
CREDENTIALS(setgid, (gid_t group), (group))
CREDENTIALS(setegid, (gid_t group), (group))
CREDENTIALS(setregid, (gid_t real, gid_t effective), (real, effective))
CREDENTIALS(setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))
CREDENTIALS(setgroups, (size_t count, const gid_t *list), (count, list))
CREDENTIALS(initgroups, (const char *user, gid_t group), (user, group))
CREDENTIALS(chroot, (const char *path), (path))
