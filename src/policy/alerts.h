/* SPDX-License-Identifier: MIT */
/* `alerts`: what is watched for, at the top level for all hosts and in a rule for its own (weir/monitor.h). */
#ifndef WEIR_POLICY_ALERTS_H
#define WEIR_POLICY_ALERTS_H

#include "src/policy/setting.h"

/* alerts = { latency = "5s"; ... }, alerts = false. At the top level it may say as well what is done (command, syslog). */
void weir_alerts_read(struct weir_draft *d, const struct weir_setting *s, bool top);

/* How many keys there are, their names ("latency"), whether a draft says them itself, and where; the values in the syntax of the
 * configuration, to be freed. Those of the actions come last, and are the top level's alone. */
const char *weir_alert_key(unsigned i);
struct weir_place weir_alert_key_from(const struct weir_draft *d, unsigned i);
bool weir_alert_key_said(const struct weir_draft *d, unsigned i);
char *weir_alert_key_print(const struct weir_draft *d, const struct weir_alert_actions *actions, unsigned i);

#endif
