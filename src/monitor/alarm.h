/* SPDX-License-Identifier: MIT */
/*
 * One alert of one subject: quiet, pending, firing.
 *
 *   quiet   -> pending  the value is at the limit or above
 *   pending -> quiet    it is below again
 *   pending -> firing   it was not below for `for`
 *   firing  -> quiet    it was below the limit less the hysteresis for `for`: it resolves
 *
 * Between the two bounds a firing alert stays what it is, so a value that trembles at the limit fires once.
 */
#ifndef WEIR_MONITOR_ALARM_H
#define WEIR_MONITOR_ALARM_H

#include "weir/monitor.h"

struct alarm {
	uint8_t state; /* enum weir_alert_state */
	bool acknowledged;
	bool restored;          /* from a monitor before, and not judged yet */
	uint64_t value, limit;  /* as last seen */
	uint64_t worst;         /* since it fires */
	uint64_t since_ns;      /* pending: since when it holds */
	uint64_t below_ns;      /* firing: since when it is over; 0: it is not */
	uint64_t since_wall_ns; /* of this state */
};

enum alarm_change { ALARM_SAME, ALARM_FIRED, ALARM_RESOLVED };

/* What is known of the value: too little to begin anything, or nothing at all (which changes nothing). */
enum alarm_basis { ALARM_ENOUGH, ALARM_TOO_FEW, ALARM_UNKNOWN };

enum alarm_change alarm_judge(struct alarm *a, const struct weir_alert_params *p, enum weir_alert_kind kind, uint64_t value,
			      enum alarm_basis basis, uint64_t now_ns, uint64_t wall_ns);

#endif
