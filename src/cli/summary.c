/* SPDX-License-Identifier: MIT */
#include "src/cli/run.h"

int weir_run_summary(const struct weir_run_request *r, const struct weir_world *w)
{
	(void)w;
	return weir_run_exec(r->command);
}
