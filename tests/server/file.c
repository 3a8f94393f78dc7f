#include "tests/server/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int file_replace(const char *path, const char *text)
{
	char fresh[PATH_MAX];
	size_t bytes = strlen(text);
	int fd;
	int error = 0;

	if (snprintf(fresh, sizeof fresh, "%s.%d", path, (int)getpid()) >= (int)sizeof fresh) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	if (write(fd, text, bytes) != (ssize_t)bytes)
		error = errno != 0 ? errno : ENOSPC;
	close(fd);
	if (error == 0 && rename(fresh, path) == 0)
		return 0;
	if (error == 0)
		error = errno;
	unlink(fresh);
	errno = error;
	return -1;
}
