/* The control port: counts, journal, settings, outages. */
#ifndef QUOTAD_CONTROL_H
#define QUOTAD_CONTROL_H

#include <microhttpd.h>
#include <stdint.h>

#include "tests/server/service.h"

struct control {
	struct service *service;
	struct MHD_Daemon *daemon;
	uint16_t port;
	int wake_fd;      /* written to when the main loop has something new to look at */
	_Atomic int quit; /* set by POST /quit */
};

/* Listens on 127.0.0.1:port (0 = any). 0, or -1 with a line on stderr. */
int control_start(struct control *c, struct service *service, uint16_t port, int wake_fd);
void control_stop(struct control *c);

#endif
