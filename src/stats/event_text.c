/* SPDX-License-Identifier: MIT */
#include "src/stats/event_text.h"

#include <inttypes.h>

#include "src/stats/finding.h"
#include "weir/cause.h"
#include "weir/degrade.h"
#include "weir/log.h"
#include "weir/monitor.h"
#include "weir/units.h"

/* " for 12.3s", or nothing where no end is known. */
static const char *lasting(const struct weir_event *e, char out[48])
{
	char duration[32];

	out[0] = '\0';
	if (e->until_ns > e->at_ns && e->until_ns != WEIR_NEVER)
		weir_format(out, 48, " for %s", weir_print_duration(e->until_ns - e->at_ns, duration, sizeof duration));
	return out;
}

/* ": the server sent Retry-After", or nothing. */
static const char *because(const struct weir_event *e, char out[96])
{
	out[0] = '\0';
	if (e->cause != WEIR_CAUSE_NONE)
		weir_format(out, 96, ": %s", weir_cause_text(e->cause));
	return out;
}

static const char *rate(uint64_t nano_per_s, char out[32])
{
	if (nano_per_s == 0)
		weir_format(out, 32, "no limit");
	else
		weir_print_rate(nano_per_s, out, 32);
	return out;
}

static const char *permits(uint64_t count, char out[32])
{
	if (count >= UINT32_MAX)
		weir_format(out, 32, "no limit");
	else
		weir_format(out, 32, "%" PRIu64, count);
	return out;
}

static void say_opened(const struct weir_event *e, char out[WEIR_EVENT_TEXT])
{
	char end[48], why[96];
	size_t n = weir_format(out, WEIR_EVENT_TEXT, "breaker opened%s%s", lasting(e, end), because(e, why));

	if (e->cause == WEIR_CAUSE_FAILURES && e->before != 0)
		weir_format(out + n, WEIR_EVENT_TEXT - n, " (%" PRIu64 ")", e->before);
}

static void say_meaning(const struct weir_event *e, char out[WEIR_EVENT_TEXT])
{
	char text[WEIR_FINDING_TEXT];
	struct weir_finding f = {.status = e->before <= UINT16_MAX ? (uint32_t)e->before : 0,
				 .cause = (enum weir_cause)e->cause,
				 .ago_ns = WEIR_NEVER};

	if (e->cause == WEIR_CAUSE_DEPENDS_ON_CROWD)
		f.permits = e->after <= UINT32_MAX ? (uint32_t)e->after : UINT32_MAX;
	else if (e->cause == WEIR_CAUSE_DEPENDS_ON_CHANCE)
		f.permille = e->after <= 1000 ? (uint32_t)e->after : 1000;
	weir_format(out, WEIR_EVENT_TEXT, "found out: %s", weir_finding_text(&f, text));
}

static void say_alert(const struct weir_event *e, char out[WEIR_EVENT_TEXT])
{
	char text[WEIR_ALERT_TEXT_MAX];
	struct weir_alert alert = {.kind = weir_event_alert(e),
				   .state = e->kind == WEIR_EVENT_ALERT_FIRED ? WEIR_ALERT_FIRING : WEIR_ALERT_QUIET,
				   .value = e->after,
				   .limit = e->before & WEIR_EVENT_ALERT_LIMIT};

	if (alert.kind < WEIR_ALERT_KINDS)
		weir_format(out, WEIR_EVENT_TEXT, "alert: %s", weir_alert_text(&alert, text));
	else
		weir_format(out, WEIR_EVENT_TEXT, "%s", weir_event_name(e->kind));
}

static void say_change(const struct weir_event *e, char out[WEIR_EVENT_TEXT])
{
	char before[32], after[32], why[96], end[48];

	switch (e->kind) {
	case WEIR_EVENT_RATE_CHANGED:
		weir_format(out, WEIR_EVENT_TEXT, "rate %s -> %s%s", rate(weir_round_rate(e->before), before),
			    rate(weir_round_rate(e->after), after), because(e, why));
		break;
	case WEIR_EVENT_CONCURRENCY_CHANGED:
		weir_format(out, WEIR_EVENT_TEXT, "requests in flight %s -> %s%s", permits(e->before, before),
			    permits(e->after, after), because(e, why));
		break;
	case WEIR_EVENT_OVERRIDE_SET:
		weir_format(out, WEIR_EVENT_TEXT, "rate set by hand: %s%s", rate(e->after, after), lasting(e, end));
		break;
	case WEIR_EVENT_QUOTA_LOW:
		weir_format(out, WEIR_EVENT_TEXT, "a fifth of a quota is left: %" PRIu64 " of %" PRIu64 " are used%s", e->before,
			    e->after, lasting(e, end));
		break;
	case WEIR_EVENT_QUOTA_SPENT:
		weir_format(out, WEIR_EVENT_TEXT, "a quota is spent: %" PRIu64 " of %" PRIu64 "%s", e->before, e->after,
			    lasting(e, end));
		break;
	case WEIR_EVENT_QUOTA_SET:
		weir_format(out, WEIR_EVENT_TEXT, "what was used of a quota set by hand: %" PRIu64, e->after);
		break;
	case WEIR_EVENT_LEDGER_LOST:
		weir_format(out, WEIR_EVENT_TEXT,
			    "the ledger of quotas could not be read and was set aside: nothing is left until the next windows");
		break;
	case WEIR_EVENT_DEGRADE_CHANGED:
		weir_format(out, WEIR_EVENT_TEXT, "degradation %s -> %s%s", weir_degrade_name((uint32_t)e->before),
			    weir_degrade_name((uint32_t)e->after), because(e, why));
		break;
	case WEIR_EVENT_SHED_CHANGED:
		if (e->after != 0)
			weir_format(out, WEIR_EVENT_TEXT, "breaker sheds %" PRIu64 "%%%s", (e->after + 5) / 10, because(e, why));
		else
			weir_format(out, WEIR_EVENT_TEXT, "breaker sheds no more%s", because(e, why));
		break;
	case WEIR_EVENT_POLICY_PUBLISHED:
		weir_format(out, WEIR_EVENT_TEXT, "configuration in force, generation %" PRIu64, e->after);
		break;
	case WEIR_EVENT_POLICY_REJECTED:
		weir_format(out, WEIR_EVENT_TEXT, "configuration refused, what was in force stays (weir config check)");
		break;
	default:
		weir_format(out, WEIR_EVENT_TEXT, "%s%s%s", weir_event_name(e->kind), lasting(e, end), because(e, why));
		break;
	}
}

const char *weir_event_text(const struct weir_event *e, char out[WEIR_EVENT_TEXT])
{
	char why[96], end[48];

	switch (e->kind) {
	case WEIR_EVENT_BREAKER_OPENED:
		say_opened(e, out);
		break;
	case WEIR_EVENT_BREAKER_HALF_OPEN:
		weir_format(out, WEIR_EVENT_TEXT, "breaker half-open, a probe goes");
		break;
	case WEIR_EVENT_BREAKER_CLOSED:
		weir_format(out, WEIR_EVENT_TEXT, "breaker closed%s", because(e, why));
		break;
	case WEIR_EVENT_HOLD_SET:
		weir_format(out, WEIR_EVENT_TEXT, "held%s%s", lasting(e, end), because(e, why));
		break;
	case WEIR_EVENT_HOLD_CLEARED:
		weir_format(out, WEIR_EVENT_TEXT, "hold over%s", because(e, why));
		break;
	case WEIR_EVENT_RESET:
		weir_format(out, WEIR_EVENT_TEXT, "reset by hand: what was learned is forgotten");
		break;
	case WEIR_EVENT_LEASE_REAPED:
		weir_format(out, WEIR_EVENT_TEXT, "process %" PRIu64 " ended in the middle of a request", e->before);
		break;
	case WEIR_EVENT_AGENT_STARTED:
		weir_format(out, WEIR_EVENT_TEXT, "agent started, process %" PRIu64, e->after);
		break;
	case WEIR_EVENT_AGENT_STOPPED:
		weir_format(out, WEIR_EVENT_TEXT, "agent ended, process %" PRIu64, e->before);
		break;
	case WEIR_EVENT_TABLE_FULL:
		weir_format(out, WEIR_EVENT_TEXT, "the table of hosts is full, %" PRIu64 " requests so far went without an entry",
			    e->after);
		break;
	case WEIR_EVENT_MEANING_CHANGED:
		say_meaning(e, out);
		break;
	case WEIR_EVENT_ALERT_FIRED:
	case WEIR_EVENT_ALERT_RESOLVED:
		say_alert(e, out);
		break;
	default:
		say_change(e, out);
		break;
	}
	return out;
}
