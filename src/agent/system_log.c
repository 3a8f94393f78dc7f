/* SPDX-License-Identifier: MIT */
#include "src/agent/system_log.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "weir/log.h"

bool weir_system_log(const char *path, bool warning, const char *before, const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char line[1024], at[32];
	time_t now = time(NULL);
	struct tm tm;
	if (strlen(path) >= sizeof to.sun_path || !localtime_r(&now, &tm) || strftime(at, sizeof at, "%b %e %H:%M:%S", &tm) == 0)
		return false;
	memcpy(to.sun_path, path, strlen(path) + 1);
	int n = snprintf(line, sizeof line, "<%d>%s weir[%d]: %s%s", LOG_USER | (warning ? LOG_WARNING : LOG_NOTICE), at,
			 (int)getpid(), before, text);
	if (n >= (int)sizeof line)
		n = (int)sizeof line - 1;
	weir_make_printable(line, (size_t)n);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool sent = sendto(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof to) == n;
	close(fd);
	return sent;
}
