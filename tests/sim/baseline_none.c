/* SPDX-License-Identifier: MIT */
/* No control: every client sends when it likes. */
#include "controller.h"

static void *start(const struct sim_setting *setting)
{
	(void)setting;
	return NULL;
}

static void stop(void *self)
{
	(void)self;
}

static enum sim_verdict ask(void *self, unsigned worker, uint64_t now_ns, uint64_t *wake_ns)
{
	(void)self;
	(void)worker;
	(void)now_ns;
	(void)wake_ns;
	return SIM_GO;
}

static void result(void *self, unsigned worker, const struct sim_result *r, uint64_t now_ns)
{
	(void)self;
	(void)worker;
	(void)r;
	(void)now_ns;
}

const struct sim_controller sim_none = {
	.name = "none", .brief = true, .start = start, .stop = stop, .ask = ask, .result = result};
