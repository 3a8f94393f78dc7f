/* SPDX-License-Identifier: MIT */
#include "src/monitor/alarm.h"

#include <string.h>

static void enter(struct alarm *a, enum weir_alert_state state, uint64_t now_ns, uint64_t wall_ns)
{
	a->state = (uint8_t)state;
	a->since_ns = now_ns;
	a->since_wall_ns = wall_ns;
	a->below_ns = 0;
	a->worst = a->value;
	if (state != WEIR_ALERT_FIRING)
		a->acknowledged = a->restored = false;
}

static enum alarm_change judge_firing(struct alarm *a, const struct weir_alert_params *p, bool over, uint64_t now_ns,
				      uint64_t wall_ns)
{
	if (a->value > a->worst)
		a->worst = a->value;
	if (!over) {
		a->below_ns = 0;
		return ALARM_SAME;
	}
	if (a->below_ns == 0)
		a->below_ns = now_ns;
	if (a->limit != 0 && now_ns - a->below_ns < p->for_ns)
		return ALARM_SAME;
	enter(a, WEIR_ALERT_QUIET, now_ns, wall_ns);
	return ALARM_RESOLVED;
}

enum alarm_change alarm_judge(struct alarm *a, const struct weir_alert_params *p, enum weir_alert_kind kind, uint64_t value,
			      enum alarm_basis basis, uint64_t now_ns, uint64_t wall_ns)
{
	uint64_t limit = p->limit[kind],
		 margin = limit / 1000 * p->hysteresis_permille + limit % 1000 * p->hysteresis_permille / 1000;
	bool holds = limit != 0 && value >= limit && basis == ALARM_ENOUGH;
	bool over = limit == 0 || (value < limit - (margin < limit ? margin : 0));

	a->limit = limit;
	if (limit != 0 && basis == ALARM_UNKNOWN)
		return ALARM_SAME;
	a->value = value;
	if (a->state == WEIR_ALERT_FIRING)
		return judge_firing(a, p, over, now_ns, wall_ns);
	if (!holds) {
		if (a->state != WEIR_ALERT_QUIET)
			enter(a, WEIR_ALERT_QUIET, now_ns, wall_ns);
		return ALARM_SAME;
	}
	if (a->state == WEIR_ALERT_QUIET)
		enter(a, WEIR_ALERT_PENDING, now_ns, wall_ns);
	if (now_ns - a->since_ns < p->for_ns)
		return ALARM_SAME;
	enter(a, WEIR_ALERT_FIRING, now_ns, wall_ns);
	return ALARM_FIRED;
}
