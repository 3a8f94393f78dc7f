/* SPDX-License-Identifier: MIT */
/*
 * Connections of programs with a TLS of their own (node, Java, Rust): nobody tells their plain text. Where HTTP/2 is not offered,
 * requests are told apart by the records (struct weir_turns) and wait for their turn like any other; of an answer no more is
 * known than that it has begun, and with that the request is settled. What the records do not tell is one request, the
 * connection.
 *
 * All on records (record.h) that are taken, but for the first; nothing blocks. errno may change.
 */
#ifndef WEIR_OWN_TLS_H
#define WEIR_OWN_TLS_H

#include <sys/uio.h>

#include "src/preload/socket/record.h"

/* Whether what is to be sent may begin a request: else it need not be looked at. */
bool weir_own_tls_may_begin(const struct weir_record *r);

/* Whether what is to be sent begins a request. */
bool weir_own_tls_is_due(const struct weir_record *r, const struct iovec *iov, size_t parts);

/* A request is about to begin: the last one's answer has begun, though nobody could be sure. */
void weir_own_tls_begins(const struct weir_gate *g, struct weir_record *r);

/* Its ClientHello is about to be told of as sent. hello NULL: it was not whole. */
void weir_own_tls_open(struct weir_record *r, const struct weir_hello *hello);

/* Bytes that have been sent or received at the socket. */
void weir_own_tls_sent(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);
void weir_own_tls_received(const struct weir_gate *g, struct weir_record *r, const void *bytes, size_t n);

/* Bytes have passed that nobody has seen. */
void weir_own_tls_lost(const struct weir_gate *g, struct weir_record *r);

/* It breaks, or is closed: settles what has been answered, as far as anybody could tell, and leaves what has not. */
void weir_own_tls_end(const struct weir_gate *g, struct weir_record *r);

#endif
