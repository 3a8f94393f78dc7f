/* Outages of the HTTP and HTTPS ports; the control port lives through all of them. Thread-safe.
 *
 * refuse     connect() gets a RST; open connections are closed, as when a server process dies
 * hang       connections are accepted, requests are read and never answered; they end with the outage
 * blackhole  SYNs are dropped; requests on connections that were open before hang */
#ifndef QUOTAD_OUTAGE_H
#define QUOTAD_OUTAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/server/connections.h"
#include "tests/server/listener.h"
#include "tests/server/quota.h"

enum outage_kind { OUTAGE_NONE, OUTAGE_REFUSE, OUTAGE_HANG, OUTAGE_BLACKHOLE };

#define OUTAGE_LISTENERS 2

struct outage {
	pthread_mutex_t mutex;
	enum outage_kind kind;
	int64_t end_ns; /* 0 = until told */
	uint64_t resets_at_start;
	struct listener *listener[OUTAGE_LISTENERS];
	size_t listeners;
	struct connections *connections;
	struct quota *quota;
	bool stopping;
};

void outage_init(struct outage *o, struct connections *connections, struct quota *quota);
void outage_destroy(struct outage *o);

/* Before any other thread runs. */
void outage_add_listener(struct outage *o, struct listener *listener);

/* The kind of that name. False when there is none. */
bool outage_kind_parse(const char *name, enum outage_kind *out);
const char *outage_kind_name(enum outage_kind kind);

/* Ends any outage and begins this one (or none), for `duration_ns` (0 = until told). In force when it
 * returns. 0, or -1 with errno, and then there is no outage. */
int outage_begin(struct outage *o, enum outage_kind kind, int64_t duration_ns);
enum outage_kind outage_current(struct outage *o);

/* Ends an outage whose time has come. Returns when to call again, 0 = no need to. */
int64_t outage_tick(struct outage *o, int64_t now_ns);

/* If the server is hanging: waits until the client of `fd` goes away or the outage ends, and returns
 * true; the connection is then to be closed. Else returns false at once. */
bool outage_hang(struct outage *o, int fd);

/* Adds what the kernel has counted meanwhile to the quota's tally. */
void outage_count(struct outage *o);

/* Ends the outage and every connection, and lets no other begin. */
void outage_stop(struct outage *o);

#endif
