/* SPDX-License-Identifier: MIT */
/* Whom a request asks: what its head, or its ClientHello, says, else whom the connection goes to. */
#ifndef WEIR_TARGET_H
#define WEIR_TARGET_H

#include <stddef.h>

#include "src/preload/socket/record.h"

/* Of what is to be sent first, or next. host_port: the Host line's name with the connection's port; through a proxy the target's
 * of an absolute-form request line or of a CONNECT; of a ClientHello the server's name; where nothing is said, or nothing that is
 * a host, r->host_port. */
enum weir_wire_kind weir_target_of(const struct weir_record *r, const void *bytes, size_t n, char host_port[WEIR_HOST_PORT_MAX],
				   bool *connects);

/* Whose a request is that begins with these bytes, and for what, as struct weir_wish has them: what its head says. `later`: it
 * does not begin here, but will after a handshake that this is part of (a ClientHello, a CONNECT). */
struct weir_whose {
	uint64_t credential, path;
	bool later;
};
struct weir_whose weir_target_whose(const void *bytes, size_t n);

#endif
