/* SPDX-License-Identifier: MIT */
/*
 * The hook of dlopen: takes RTLD_DEEPBIND away from libraries whose requests would pass unseen with it.
 *
 * A library that is loaded so looks for its functions in itself and in what it needs, the C library included, before it looks
 * where a preloaded one stands: of its connects and transfers nothing is seen at all. PHP loads each of its extensions in this
 * way. The flag keeps a plugin's symbols apart from those of its host, and is left to every library that neither needs a library
 * of HTTP or TLS nor connects by itself. Without it, symbols are looked up as on a system whose dlopen has no such flag.
 *
 * Only a library that is named with a slash is looked at, as PHP does; where the others lie only the dynamic linker knows.
 *
 * The real function finds out by its return address who asks (for $ORIGIN, RUNPATH and the name space): the hook must jump to it,
 * and has nothing on its stack that would keep the compiler from it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "src/preload/core/environment.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "weir/elf.h"
#include "weir/kernel.h"

/* How a request leaves that a hook would see. */
static const char *const calls[] = {"connect", "sendto", "sendmsg", NULL};

static bool asks_hosts(const char *file)
{
	const unsigned asking = WEIR_NEEDS_CURL | WEIR_NEEDS_OPENSSL | WEIR_NEEDS_GNUTLS;
	struct weir_elf elf;
	bool does;
	int fd;

	if (!weir_kernel_allows(SYS_openat) || !weir_kernel_allows(SYS_pread64) || !weir_kernel_allows(SYS_close))
		return false;
	fd = (int)weir_syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	weir_elf_read(fd, &elf);
	does = elf.ours && ((elf.needs & asking) != 0 || weir_elf_imports(fd, calls));
	weir_syscall(SYS_close, fd);
	return does;
}

/* The mode to load it with. */
__attribute__((noinline)) static int mode_for(const char *file, int mode)
{
	int saved = errno;

	if (file && strchr(file, '/') && !weir_disabled() && asks_hosts(file))
		mode &= ~RTLD_DEEPBIND;
	errno = saved;
	return mode;
}

WEIR_HOOK void *dlopen(const char *file, int mode)
{
	const struct weir_libc *libc = weir_libc();

	if (__builtin_expect((mode & RTLD_DEEPBIND) != 0, 0))
		mode = mode_for(file, mode);
	if (!libc->dlopen)
		return NULL;
	WEIR_JUMP(libc->dlopen(file, mode));
}
