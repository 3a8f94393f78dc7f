/* SPDX-License-Identifier: MIT */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "weir/kernel.h"

int weir_open_high(const char *path, int flags, mode_t mode)
{
	int fd = weir_open(path, flags | O_CLOEXEC, mode), high, err;

	if (fd < 0 || fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	err = errno;
	weir_close(fd);
	errno = err;
	return high;
}
