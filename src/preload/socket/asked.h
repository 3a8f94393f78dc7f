/* SPDX-License-Identifier: MIT */
/* What a request's head asks for: method and path, for rules that are narrowed by these (weir/narrow.h). */
#ifndef WEIR_SOCKET_ASKED_H
#define WEIR_SOCKET_ASKED_H

#include <stddef.h>

#include "weir/gate.h"

/* What the n bytes that begin a request ask for; pointers go into them. Nothing where no rule asks for it, of what is no HTTP,
 * and of CONNECT, which is the proxy's. */
struct weir_asks weir_head_asks(const struct weir_gate *g, const void *bytes, size_t n);

#endif
