/* SPDX-License-Identifier: MIT */
#include "src/agent/ledger.h"

#include <string.h>

#include "weir/gate.h"
#include "weir/log.h"

#define LOOK_EVERY_NS UINT64_C(1000000000)
#define RETRY_NS      UINT64_C(5000000000)

/* One agent is one process with one world, and a handle's function has nothing but itself to go by. */
static struct {
	const struct weir_segment *segment;
	char path[WEIR_PATH_MAX + 32];
	struct weir_ledger ledger;
	uint64_t due_ns;
	const char *wrong;
} own;

void weir_agent_ledger_begin(const struct weir_environment *e, const struct weir_world *w, struct weir_segment *s)
{
	char directory[WEIR_PATH_MAX];
	int err = 0;
	const char *why = weir_state_directory(e, directory, &err);

	memset(&own, 0, sizeof own);
	own.segment = s;
	s->ledger = weir_agent_ledger;
	if (why)
		weir_log(WEIR_LOG_WARN, "quotas: %s: %s (errno %d); they are counted in the segment alone", directory, why, err);
	else
		weir_format(own.path, sizeof own.path, "%s/ledger.%016llx", directory, (unsigned long long)w->key);
	own.wrong = why;
}

void weir_agent_ledger_end(void)
{
	weir_ledger_close(&own.ledger);
	memset(&own, 0, sizeof own);
}

static void open_it(void)
{
	const char *why = NULL;
	int err = 0;

	weir_ledger_close(&own.ledger);
	if (!weir_ledger_open(&own.ledger, own.path, &why, &err)) {
		if (own.wrong != why)
			weir_log(WEIR_LOG_WARN, "quotas: %s: %s (errno %d); they are counted in the segment alone", own.path, why,
				 err);
		own.wrong = why;
		return;
	}
	own.wrong = NULL;
	if (!why)
		return;
	weir_log(WEIR_LOG_ERROR, "quotas: %s: %s; set aside, and nothing is left until the next windows or 'weir reset --quota'",
		 own.path, why);
	weir_event_write(own.segment, WEIR_EVENT_LEDGER_LOST, WEIR_CAUSE_NONE, NULL, 0, 0, 0, weir_now_ns());
}

const struct weir_ledger *weir_agent_ledger(void)
{
	uint64_t now_ns = weir_now_ns();

	if (own.path[0] == '\0')
		return NULL;
	if (now_ns >= own.due_ns) {
		if (!own.ledger.header || !weir_ledger_is_there(&own.ledger, own.path))
			open_it();
		own.due_ns = now_ns + (own.ledger.header ? LOOK_EVERY_NS : RETRY_NS);
	}
	return own.ledger.header ? &own.ledger : NULL;
}

const char *weir_agent_ledger_wrong(void)
{
	return own.wrong;
}
