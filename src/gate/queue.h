/* SPDX-License-Identifier: MIT */
/* Those who wait at a host, by class: how many there are, and how many there may be. */
#ifndef WEIR_GATE_QUEUE_H
#define WEIR_GATE_QUEUE_H

#include "scope.h"

/* The class of what this process asks of a host with this rule: what the process says, else what the rule says, else normal. */
unsigned queue_class(const struct weir_gate *g, const struct weir_rule *rule);

/* Whether a request of the class that came now, and had to wait, would be refused: as many wait as the rule allows, and none of
 * them is of a lower class. */
bool queue_is_full(const struct scope *host, unsigned class);

/* The request has its lease and is about to look for the first time: it has a class from now on. */
void queue_begin(const struct weir_gate *g, struct weir_request *r, const struct scope *host);

/* After a look: who begins to wait is counted, who waits no more is not. Where more wait than the rule allows, one of the lowest
 * class that waits is refused: who comes, or, where it comes to a lower one's place, the first of these that looks again. */
enum weir_verdict queue_after_look(const struct weir_gate *g, struct weir_request *r, const struct scope *host,
				   enum weir_verdict verdict, uint64_t now_ns);

/* It waits no more. Does nothing where it is not counted. */
void queue_leave(const struct weir_gate *g, struct weir_request *r);

void queue_note_refused(const struct weir_request *r, const struct scope *host);
void queue_note_delayed(const struct weir_request *r, const struct scope *host);

/* Corrects the depth of an entry where processes died between being counted and saying so, by what the leases say.
 * except: a lease that is known not to be counted, or WEIR_NONE. */
void queue_correct(const struct weir_segment *s, uint32_t slot, uint32_t except);

#endif
