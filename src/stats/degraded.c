/* SPDX-License-Identifier: MIT */
#include "src/stats/degraded.h"

#include "weir/log.h"
#include "weir/shed.h"

struct weir_degraded weir_degraded_of(const struct weir_entry *e, const struct weir_rule *rule)
{
	struct weir_degraded d = {.watch = rule->degrade.watch};
	if (d.watch & WEIR_DEGRADE_WATCHES)
		d.view = weir_degrade_view(&e->degrade);
	if (d.watch & WEIR_DEGRADE_SHEDS)
		d.shed_permille = weir_shed_permille(&e->degrade);
	return d;
}

bool weir_is_degraded(const struct weir_degraded *d)
{
	return d->view.state != WEIR_DEGRADE_NORMAL || d->shed_permille != 0;
}

/* "low", "30% of low" */
static size_t put_share(char *out, size_t size, uint32_t permille, const char *what)
{
	return permille >= 1000 ? weir_format(out, size, "%s", what)
				: weir_format(out, size, "%u%% of %s", (permille + 5) / 10, what);
}

const char *weir_degraded_text(const struct weir_degraded *d, char out[WEIR_DEGRADED_TEXT])
{
	const struct weir_degrade_view *v = &d->view;
	size_t n = 0;
	if (!(d->watch & WEIR_DEGRADE_SHEDS) || v->state != WEIR_DEGRADE_NORMAL)
		n = weir_format(out, WEIR_DEGRADED_TEXT, "%s", weir_degrade_name(v->state));
	if (v->low != 0) {
		n += weir_format(out + n, WEIR_DEGRADED_TEXT - n, ", ");
		n += put_share(out + n, WEIR_DEGRADED_TEXT - n, v->low, "low");
		if (v->normal != 0) {
			n += weir_format(out + n, WEIR_DEGRADED_TEXT - n, " and ");
			n += put_share(out + n, WEIR_DEGRADED_TEXT - n, v->normal, "normal");
		}
		n += weir_format(out + n, WEIR_DEGRADED_TEXT - n, " refused");
	}
	if (v->cause != WEIR_CAUSE_NONE)
		n += weir_format(out + n, WEIR_DEGRADED_TEXT - n, ": %s", weir_cause_text(v->cause));
	if (d->watch & WEIR_DEGRADE_SHEDS)
		weir_format(out + n, WEIR_DEGRADED_TEXT - n, "%s%u%% refused, as too many fail", n ? "; " : "",
			    (d->shed_permille + 5) / 10);
	return out;
}

json_t *weir_degraded_json(const struct weir_degraded *d)
{
	json_t *o, *refused;
	if (!(d->watch & WEIR_DEGRADE_WATCHES))
		return NULL;
	o = json_object();
	refused = json_object();
	json_object_set_new(o, "state", json_string(weir_degrade_name(d->view.state)));
	if (d->view.cause != WEIR_CAUSE_NONE)
		json_object_set_new(o, "cause", json_string(weir_cause_name(d->view.cause)));
	json_object_set_new(refused, "normal", json_real((double)d->view.normal / 1000));
	json_object_set_new(refused, "low", json_real((double)d->view.low / 1000));
	json_object_set_new(o, "refused", refused);
	return o;
}
