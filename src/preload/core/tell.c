/* SPDX-License-Identifier: MIT */
#include "src/preload/core/tell.h"

#include "weir/cause.h"
#include "weir/log.h"
#include "weir/units.h"

void weir_tell_admitted(const struct weir_request *r, const char *host_port)
{
	char waited[32];

	if (!weir_log_on(WEIR_LOG_INFO))
		return;
	if (r->delayed)
		weir_log(WEIR_LOG_INFO, "%s: waited %s: %s", host_port,
			 weir_print_duration(r->admitted_ns - r->begun_ns, waited, sizeof waited), weir_cause_text(r->cause));
	else
		weir_log(WEIR_LOG_DEBUG, "%s: admitted", host_port);
}

void weir_tell_refused(const char *what, const char *text)
{
	weir_log(WEIR_LOG_INFO, "%s refused: %s", what, text);
}
