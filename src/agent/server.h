/* SPDX-License-Identifier: MIT */
/*
 * The agent's socket: HTTP/1.1 by libmicrohttpd on $RUNTIME/weir.sock, driven from the agent's own loop. What is asked is
 * answered by api.h; here are only the socket, the peer check, bodies and time-outs.
 */
#ifndef WEIR_AGENT_SERVER_H
#define WEIR_AGENT_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/agent/api.h"
#include "weir/runtime.h"
#include "weir/segment.h"

struct weir_server_state;
struct weir_server {
	struct weir_server_state *state; /* NULL: not serving */
};

void weir_server_init(struct weir_server *s);

/* Binds the socket (removing a dead agent's: the caller holds the instance lock) and starts serving. What the pointers of *api
 * lead to must stay valid until weir_server_stop. Returns NULL or what is wrong, *err = errno or 0. */
const char *weir_server_start(struct weir_server *s, const struct weir_api *api, int *err);

/* A descriptor that is readable when there is something to do; -1 when not serving. */
int weir_server_descriptor(const struct weir_server *s);

/* How long weir_server_run may be put off; false: as long as the descriptor is silent. */
bool weir_server_timeout(const struct weir_server *s, uint64_t *ns);

/* Does what there is to do. Never blocks. */
void weir_server_run(struct weir_server *s);

/* When a client was last served (CLOCK_MONOTONIC), 0 = never. */
uint64_t weir_server_client_ns(const struct weir_server *s);

/* Stops serving and removes the socket. */
void weir_server_stop(struct weir_server *s);

#endif
