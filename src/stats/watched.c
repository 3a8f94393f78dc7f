/* SPDX-License-Identifier: MIT */
#include "src/stats/watched.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "src/stats/render.h"
#include "src/stats/spelling.h"

#define ALERTS_MAX 1024 /* in one document */

void weir_watched_add(struct weir_snapshot *s, const struct weir_monitor *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < s->host_count; i++)
		s->host[i].watched = weir_monitor_figures(m, s->host[i].key, s->now_ns, &s->host[i].figures);
	s->watched = true;
	s->monitor_health = weir_monitor_health(m);
	for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++)
		s->alerts_fired[kind] = weir_monitor_fired(m, (enum weir_alert_kind)kind);
	size_t count = weir_monitor_alerts(m, NULL, 0);
	if (count > ALERTS_MAX)
		count = ALERTS_MAX;
	s->alert = count > 0 ? calloc(count, sizeof *s->alert) : NULL;
	s->alerts = s->alert ? count : 0;
	if (s->alert)
		weir_monitor_alerts(m, s->alert, count);
}

json_t *weir_alert_value_json(enum weir_alert_kind kind, uint64_t value)
{
	switch (kind) {
	case WEIR_ALERT_LATENCY:
		return json_real((double)value / 1e9);
	case WEIR_ALERT_BREAKER_OPEN:
	case WEIR_ALERT_QUEUE:
		return json_integer((json_int_t)(value <= INT64_MAX ? value : INT64_MAX));
	default:
		return json_real((double)value / 1000);
	}
}

json_t *weir_alert_json(const struct weir_alert *a)
{
	static const char *const states[] = {"resolved", "pending", "firing"};
	char text[WEIR_ALERT_TEXT_MAX], since[32];
	json_t *o = json_object();
	weir_render_time(a->since_wall_ns, since);
	json_object_set_new(o, "host", weir_name_json(a->host));
	json_object_set_new(o, "alert", json_string(weir_alert_name(a->kind)));
	json_object_set_new(o, "state", json_string(states[a->state]));
	json_object_set_new(o, "value", weir_alert_value_json(a->kind, a->value));
	json_object_set_new(o, "threshold", weir_alert_value_json(a->kind, a->limit));
	json_object_set_new(o, "worst", weir_alert_value_json(a->kind, a->worst));
	json_object_set_new(o, "since", json_string(since));
	json_object_set_new(o, "acknowledged", json_boolean(a->acknowledged));
	json_object_set_new(o, "silenced", json_boolean(a->silenced));
	json_object_set_new(o, "text", json_string(weir_alert_text(a, text)));
	return o;
}

json_t *weir_alerts_json(const struct weir_snapshot *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->alerts; i++)
		json_array_append_new(list, weir_alert_json(&s->alert[i]));
	return list;
}

static json_t *seconds(uint64_t ns)
{
	return json_real((double)ns / 1e9);
}

json_t *weir_figures_json(const struct weir_monitor_figures *f)
{
	uint64_t results = f->succeeded + f->throttled + f->failed;
	json_t *o = json_object(), *latency;
	json_object_set_new(o, "window", seconds(f->window_ns));
	json_object_set_new(o, "results", json_integer((json_int_t)results));
	if (results > 0) {
		json_object_set_new(o, "success_rate", json_real((double)f->succeeded / (double)results));
		json_object_set_new(o, "error_rate", json_real((double)f->failed / (double)results));
		json_object_set_new(o, "throttled_rate", json_real((double)f->throttled / (double)results));
	}
	if (f->latency.count == 0)
		return o;
	latency = json_object();
	json_object_set_new(latency, "count", json_integer((json_int_t)f->latency.count));
	json_object_set_new(latency, "mean", seconds(f->latency.mean_ns));
	json_object_set_new(latency, "min", seconds(f->latency.min_ns));
	json_object_set_new(latency, "max", seconds(f->latency.max_ns));
	json_object_set_new(latency, "p50", seconds(f->latency.p50_ns));
	json_object_set_new(latency, "p90", seconds(f->latency.p90_ns));
	json_object_set_new(latency, "p95", seconds(f->latency.p95_ns));
	json_object_set_new(latency, "p99", seconds(f->latency.p99_ns));
	json_object_set_new(o, "latency", latency);
	return o;
}

size_t weir_alerts_text(const struct weir_snapshot *s, const char *before, bool pending, FILE *out)
{
	size_t count = 0;
	for (size_t i = 0; i < s->alerts; i++) {
		const struct weir_alert *a = &s->alert[i];
		char name[WEIR_SPELLING_MAX], text[WEIR_ALERT_TEXT_MAX], since[32] = "";
		time_t t = (time_t)(a->since_wall_ns / 1000000000U);
		struct tm tm;
		if (a->state != WEIR_ALERT_FIRING && !pending)
			continue;
		if (localtime_r(&t, &tm))
			strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", &tm);
		weir_spell(a->host, name);
		fprintf(out, "%s%s: %s, %s %s%s%s\n", before, name, weir_alert_text(a, text),
			a->state == WEIR_ALERT_FIRING ? "since" : "not for long enough yet, since", since,
			a->acknowledged ? ", acknowledged" : "", a->silenced ? ", silenced" : "");
		count++;
	}
	return count;
}
