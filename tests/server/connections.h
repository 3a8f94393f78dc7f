/* Which client connections are open, so that an outage can end them. Thread-safe. */
#ifndef QUOTAD_CONNECTIONS_H
#define QUOTAD_CONNECTIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define CONNECTIONS_MAX_FD 8192

struct connections {
	pthread_mutex_t mutex;
	bool open[CONNECTIONS_MAX_FD];
};

void connections_init(struct connections *c);
void connections_destroy(struct connections *c);

/* False when the descriptor is out of bounds: too many connections. */
bool connections_add(struct connections *c, int fd);
void connections_remove(struct connections *c, int fd);

/* Shuts every open connection down: clients read the end of file, or get a RST when they write. */
void connections_shut_down(struct connections *c);

#endif
