/* SPDX-License-Identifier: MIT */
#include "src/stats/finding.h"

#include <inttypes.h>
#include <stdio.h>

#include "weir/log.h"
#include "weir/segment.h"
#include "weir/units.h"

/* What is said of throttled answers as a whole names the status that stands for them all. */
#define THROTTLED_STATUS 429

void weir_finding_note(struct weir_finding_trace *trace, const struct weir_event *e)
{
	if (e->kind == WEIR_EVENT_RESET)
		*trace = (struct weir_finding_trace){0};
	if (e->kind != WEIR_EVENT_MEANING_CHANGED)
		return;
	if (e->before != THROTTLED_STATUS) {
		trace->bare_ns = e->at_ns;
		trace->status = (uint32_t)e->before;
	} else if (e->cause == WEIR_CAUSE_DEPENDS_ON_CHANCE) {
		trace->chance_ns = e->at_ns;
	} else if (e->cause == WEIR_CAUSE_DEPENDS_ON_CROWD) {
		trace->crowd_ns = e->at_ns;
	}
}

static uint64_t ago(uint64_t at_ns, uint64_t now_ns)
{
	return at_ns == 0 ? WEIR_NEVER : at_ns < now_ns ? now_ns - at_ns : 0;
}

size_t weir_findings_of(const struct weir_refusal_view *view, const struct weir_finding_trace *trace, uint64_t now_ns,
			struct weir_finding out[WEIR_FINDINGS])
{
	size_t n = 0;
	/* While it is tried it is not known. */
	if (view->meaning != WEIR_REFUSAL_UNKNOWN && view->trial != WEIR_TRIAL_SILENCE)
		out[n++] = (struct weir_finding){.status = view->status,
						 .cause = view->meaning == WEIR_REFUSAL_PACE ? WEIR_CAUSE_DEPENDS_ON_PACE
											     : WEIR_CAUSE_DEPENDS_ON_CHANCE,
						 .ago_ns = ago(trace->status == view->status ? trace->bare_ns : 0, now_ns)};
	if (view->chance_permille)
		out[n++] = (struct weir_finding){.cause = WEIR_CAUSE_DEPENDS_ON_CHANCE,
						 .permille = view->chance_permille,
						 .ago_ns = ago(trace->chance_ns, now_ns)};
	if (view->permits && view->trial != WEIR_TRIAL_CROWD)
		out[n++] = (struct weir_finding){
			.cause = WEIR_CAUSE_DEPENDS_ON_CROWD, .permits = view->permits, .ago_ns = ago(trace->crowd_ns, now_ns)};
	return n;
}

const char *weir_finding_on(enum weir_cause cause)
{
	return cause == WEIR_CAUSE_DEPENDS_ON_PACE ? "pace" : cause == WEIR_CAUSE_DEPENDS_ON_CROWD ? "crowd" : "chance";
}

const char *weir_trial_name(enum weir_refusal_trial trial)
{
	switch (trial) {
	case WEIR_TRIAL_STATUS:
		return "pace";
	case WEIR_TRIAL_CHANCE:
		return "chance";
	case WEIR_TRIAL_CROWD:
		return "crowd";
	case WEIR_TRIAL_SILENCE:
		return "ban";
	default:
		return NULL;
	}
}

const char *weir_finding_text(const struct weir_finding *f, char out[WEIR_FINDING_TEXT])
{
	char since[32];
	size_t n;
	if (f->cause == WEIR_CAUSE_DEPENDS_ON_CROWD)
		n = weir_format(out, WEIR_FINDING_TEXT,
				"throttled answers came when more than %u requests were in flight; the rate is left alone",
				f->permits);
	else if (f->status == 0)
		n = weir_format(out, WEIR_FINDING_TEXT,
				"%u.%u %% of the answers are throttled whatever the pace; only more than that slows it down",
				f->permille / 10, f->permille % 10);
	else if (f->cause == WEIR_CAUSE_DEPENDS_ON_PACE)
		n = weir_format(out, WEIR_FINDING_TEXT,
				"a bare %u is taken for throttling; it became rarer when less was asked for", f->status);
	else
		n = weir_format(out, WEIR_FINDING_TEXT, "a bare %u is no throttling; as many came when less was asked for",
				f->status);
	if (f->ago_ns != WEIR_NEVER)
		weir_format(out + n, WEIR_FINDING_TEXT - n, " (found %s ago)",
			    weir_print_duration(f->ago_ns, since, sizeof since));
	return out;
}

const char *weir_trial_text(const struct weir_refusal_view *view, char out[WEIR_FINDING_TEXT])
{
	if (view->trial == WEIR_TRIAL_STATUS)
		weir_format(out, WEIR_FINDING_TEXT, "it is being tried whether a bare %u becomes rarer at half the pace",
			    view->status);
	else if (view->trial == WEIR_TRIAL_CHANCE)
		weir_format(out, WEIR_FINDING_TEXT, "it is being tried whether throttled answers become rarer at half the pace");
	else if (view->trial == WEIR_TRIAL_SILENCE)
		weir_format(out, WEIR_FINDING_TEXT,
			    "nothing but a bare %u comes any more: it is being tried whether silence ends it, as it ends a ban",
			    view->status);
	else
		weir_format(out, WEIR_FINDING_TEXT, "it is being tried whether no more than %u at a time are ever refused",
			    view->permits);
	return out;
}
