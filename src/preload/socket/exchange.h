/* SPDX-License-Identifier: MIT */
/*
 * The requests of one conversation, from what passes over it: which host each asks, when it is begun, and by which answer it is
 * settled. All on records that are taken; nothing blocks. errno may change.
 */
#ifndef WEIR_EXCHANGE_H
#define WEIR_EXCHANGE_H

#include <stddef.h>
#include <sys/uio.h>

#include "src/preload/socket/record.h"

/* Whether what is to be sent on the socket may begin a request, so that it has to be looked at. */
bool weir_exchange_may_begin(const struct weir_record *r);

/* Whether what is to be sent on the socket begins a request that has not been begun yet. */
bool weir_exchange_is_due(const struct weir_record *r, const struct iovec *iov, size_t parts);

/* Whether plain text that is about to go into TLS does. From the first call on the connection is what its plain text is. */
bool weir_exchange_plain_is_due(struct weir_record *r);

/* Begins it, as r->next: `bytes` are what is to be sent. The verdict is the gate's; WEIR_GO also where it goes on the
 * connection's own request. */
enum weir_verdict weir_exchange_begin(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);

/* r->next has had its turn, or has been refused. Where its head has passed as plain text already, it goes in hand now. */
void weir_exchange_goes(const struct weir_gate *g, struct weir_record *r);

/* Bytes that have been sent or received at the socket. */
void weir_exchange_sent(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);
void weir_exchange_received(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);

/* Plain text that TLS has taken or given. */
void weir_exchange_plain_sent(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);
void weir_exchange_plain_received(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);

/* Settles a request of the connection's, or takes it back where it still waits; the first that is settled counts the connection.
 */
void weir_exchange_settle_request(const struct weir_gate *g, struct weir_record *r, struct weir_request *request,
				  struct weir_result *result);

/* The other side has closed, or the connection has broken. */
void weir_exchange_cut(const struct weir_gate *g, struct weir_record *r);

/* The connect was put off until something is sent (r->put_off), and has failed. */
void weir_exchange_unreached(const struct weir_gate *g, struct weir_record *r, int error);

/* From here on nobody knows what passes. */
void weir_exchange_lost(const struct weir_gate *g, struct weir_record *r);

/* The program ends it: settles all that is left. g NULL: it is not this process's, and is dropped. */
void weir_exchange_end(const struct weir_gate *g, struct weir_record *r);

#endif
