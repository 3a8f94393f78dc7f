/* The HTTP and HTTPS service: takes connections, asks the quota, answers when it is time. */
#ifndef QUOTAD_SERVICE_H
#define QUOTAD_SERVICE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/server/certificate.h"
#include "tests/server/connections.h"
#include "tests/server/listener.h"
#include "tests/server/outage.h"
#include "tests/server/quota.h"

struct service {
	struct quota quota;
	struct connections connections;
	struct outage outage;
	struct listener http;
	struct listener https; /* fd -1 without TLS */
	struct certificate certificate;
	struct MHD_Daemon *http_daemon;
	struct MHD_Daemon *https_daemon;
	int stop_fd; /* eventfd: readable from service_stop on */
};

/* Opens the ports. 0, or -1 with a line on stderr; then service_stop is still to be called. */
int service_start(struct service *s, const struct quota_settings *settings, uint16_t port, bool tls, uint16_t tls_port);

/* Takes the connections that wait at the listener. */
void service_accept(struct service *s, struct listener *listener);

/* Ends every connection and request, and waits for their threads. */
void service_stop(struct service *s);

#endif
