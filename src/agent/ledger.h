/* SPDX-License-Identifier: MIT */
/* The agent's view of the ledger, which it reads, and writes on the operator's word. It keeps nobody from counting when it dies.
 */
#ifndef WEIR_AGENT_LEDGER_H
#define WEIR_AGENT_LEDGER_H

#include "weir/ledger.h"
#include "weir/runtime.h"
#include "weir/segment.h"

/* Says whose it is; the segment's handle asks here from now on. */
void weir_agent_ledger_begin(const struct weir_environment *e, const struct weir_world *w, struct weir_segment *s);
void weir_agent_ledger_end(void);

/* The ledger, or NULL; looks at most once a second whether the file still has its name, and tries again after five. */
const struct weir_ledger *weir_agent_ledger(void);

/* Why there is none, as told when it was last tried; NULL: there is one, or nobody has asked. */
const char *weir_agent_ledger_wrong(void);

#endif
