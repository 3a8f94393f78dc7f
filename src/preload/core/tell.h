/* SPDX-License-Identifier: MIT */
/* What the log says of a request that had to wait or was refused. */
#ifndef WEIR_TELL_H
#define WEIR_TELL_H

#include "weir/gate.h"

/* "host: waits 12.3s: ...", when a long wait begins: struct weir_gate. */
void weir_tell_long_wait(const struct weir_request *r, const char *host_port, uint64_t now_ns);

/* "host: waited 1.2s: ...", when it did. */
void weir_tell_admitted(const struct weir_request *r, const char *host_port);

/* `what` ("connect", "transfer") and the text of weir_gate_describe. */
void weir_tell_refused(const char *what, const char *text);

#endif
