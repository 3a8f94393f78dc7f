/* SPDX-License-Identifier: MIT */
/* Whom a request asks: what its head, or its ClientHello, says, else whom the connection goes to. */
#ifndef WEIR_TARGET_H
#define WEIR_TARGET_H

#include <stddef.h>

#include "src/preload/socket/record.h"

/* What is to be sent first, or next. host_port: the Host line's name with the connection's port; through a proxy the target's of
 * an absolute-form request line or of a CONNECT; of a ClientHello the server's name; where nothing is said, or nothing that is a
 * host, r->host_port. In the record: whose it is, and for what, and whether it is a CONNECT. */
enum weir_wire_kind weir_target_look(struct weir_record *r, const void *bytes, size_t n, char host_port[WEIR_HOST_PORT_MAX]);

#endif
