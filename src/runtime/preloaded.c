/* SPDX-License-Identifier: MIT */
/* Whether a process runs under weir: its list of mappings names the library. */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weir/log.h"

#define LIBRARY   "libweir.so" /* what follows does for names whose first letter comes only once */
#define BYTES_MAX (16L << 20)  /* a list is some 100 bytes per mapping, and there are 65,530 mappings at most */

bool weir_process_preloaded(pid_t pid)
{
	char path[32], block[512];
	size_t matched = 0;
	long got, fd, all = 0;

	weir_format(path, sizeof path, "/proc/%d/maps", (int)pid);
	/* Not through the host's open and read, which may be hooked. */
	fd = weir_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (matched < strlen(LIBRARY) && all < BYTES_MAX && (got = weir_syscall(SYS_read, fd, block, sizeof block)) > 0) {
		all += got;
		for (long i = 0; i < got && matched < strlen(LIBRARY); i++)
			matched = block[i] == LIBRARY[matched] ? matched + 1 : block[i] == LIBRARY[0];
	}
	weir_syscall(SYS_close, fd);
	return matched == strlen(LIBRARY);
}
