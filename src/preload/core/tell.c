/* SPDX-License-Identifier: MIT */
#include "src/preload/core/tell.h"

#include "weir/cause.h"
#include "weir/log.h"
#include "weir/units.h"

/* A wait that is told only when it is over looks like a program that hangs. */
void weir_tell_long_wait(const struct weir_request *r, const char *host_port, uint64_t now_ns)
{
	char span[32];

	if (!weir_log_on(WEIR_LOG_INFO))
		return;
	if (r->until_ns > now_ns)
		weir_log(WEIR_LOG_INFO, "%s: waits %s: %s", host_port,
			 weir_print_duration(r->until_ns - now_ns, span, sizeof span), weir_cause_text(r->cause));
	else
		weir_log(WEIR_LOG_INFO, "%s: waits, until when is not known, no longer than %s: %s", host_port,
			 weir_print_duration(r->latest_ns > now_ns ? r->latest_ns - now_ns : 0, span, sizeof span),
			 weir_cause_text(r->cause));
}

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
