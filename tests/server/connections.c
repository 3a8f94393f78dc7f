#include "tests/server/connections.h"

#include <string.h>
#include <sys/socket.h>

void connections_init(struct connections *c)
{
	memset(c, 0, sizeof *c);
	pthread_mutex_init(&c->mutex, NULL);
}

void connections_destroy(struct connections *c)
{
	pthread_mutex_destroy(&c->mutex);
}

static bool set_open(struct connections *c, int fd, bool open)
{
	if (fd < 0 || fd >= CONNECTIONS_MAX_FD)
		return false;
	pthread_mutex_lock(&c->mutex);
	c->open[fd] = open;
	pthread_mutex_unlock(&c->mutex);
	return true;
}

bool connections_add(struct connections *c, int fd)
{
	return set_open(c, fd, true);
}

void connections_remove(struct connections *c, int fd)
{
	set_open(c, fd, false);
}

void connections_shut_down(struct connections *c)
{
	/* A connection is removed before its descriptor is closed, so under the mutex none of these
	 * numbers can have become another file. */
	pthread_mutex_lock(&c->mutex);
	for (int fd = 0; fd < CONNECTIONS_MAX_FD; fd++) {
		if (c->open[fd])
			shutdown(fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&c->mutex);
}
