/* SPDX-License-Identifier: MIT */
/* What a request holds goes back. */
#ifndef WEIR_GATE_RELEASE_H
#define WEIR_GATE_RELEASE_H

#include "weir/gate.h"

/* Gives back the permits that the request holds, and wakes those who want them. */
void request_give_permits(const struct weir_gate *g, struct weir_request *r);

/* Frees its lease, if it has one. */
void request_free_lease(const struct weir_gate *g, struct weir_request *r);

#endif
