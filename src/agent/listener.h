/* SPDX-License-Identifier: MIT */
/*
 * The opt-in listener on a TCP port of loopback: what the socket answers, for Prometheus and browsers, and a page at /.
 *
 * Other users of the machine, and pages that a browser has open, can reach such a port. So the Host header must name the listener
 * itself (a page of another site that has its name resolve to 127.0.0.1 sends that name), and what changes something needs the
 * token that lies in the runtime directory, which is the user's alone.
 */
#ifndef WEIR_AGENT_LISTENER_H
#define WEIR_AGENT_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/agent/api.h"

struct weir_listener;

/* Whether this is an address to listen at: NULL, or why not (static text). */
const char *weir_listener_address(const char *address);

/* Listens at "127.0.0.1:PORT" or "[::1]:PORT" (port 0: any free one) and writes a new token into $RUNTIME/http-token (0600). *api
 * is copied; what it points to must stay. Returns NULL and *out, or what is wrong, *err = errno or 0. */
const char *weir_listener_start(struct weir_listener **out, const char *address, const struct weir_api *api, int *err);

/* "http://127.0.0.1:PORT/", and the same with the token behind it, for a browser. */
const char *weir_listener_url(const struct weir_listener *l, bool with_token);

/* As weir_server_*; l may be NULL. */
int weir_listener_descriptor(const struct weir_listener *l);
bool weir_listener_timeout(const struct weir_listener *l, uint64_t *ns);
void weir_listener_run(struct weir_listener *l);
uint64_t weir_listener_client_ns(const struct weir_listener *l);
void weir_listener_stop(struct weir_listener *l);

#endif
