/* SPDX-License-Identifier: MIT */
/* The processes under weir as JSON and as text. */
#include <inttypes.h>
#include <string.h>

#include "src/stats/processes.h"
#include "src/stats/render.h"
#include "src/stats/spelling.h"
#include "weir/units.h"

static const char *const activities[] = {
	[WEIR_PROCESS_WAITS] = "waiting", [WEIR_PROCESS_IN_FLIGHT] = "in_flight", [WEIR_PROCESS_IDLE] = "idle"};

static json_t *one_json(const struct weir_process_view *v)
{
	json_t *o = json_object();
	json_t *name = json_string(v->name), *rule = json_string(v->rule[0] ? v->rule : "*");
	json_object_set_new(o, "pid", json_integer(v->pid));
	json_object_set_new(o, "name", name ? name : json_string("?"));
	json_object_set_new(o, "state", json_string(activities[v->activity]));
	if (v->foreign)
		json_object_set_new(o, "other_pid_namespace", json_true());
	if (v->stopped)
		json_object_set_new(o, "stopped", json_true());
	if (v->activity == WEIR_PROCESS_IDLE) {
		json_decref(rule);
		return o;
	}
	if (v->host[0])
		json_object_set_new(o, "host", weir_name_json(v->host));
	json_object_set_new(o, "rule", rule ? rule : json_string("?"));
	json_object_set_new(o, "seconds", json_real((double)v->since_ns / 1e9));
	if (v->cause != WEIR_CAUSE_NONE)
		json_object_set_new(o, "cause", json_string(weir_cause_name(v->cause)));
	if (v->ends_ns)
		json_object_set_new(o, "ends_in_seconds", json_real((double)v->ends_ns / 1e9));
	return o;
}

json_t *weir_processes_json(const struct weir_processes *p)
{
	json_t *o = json_object(), *list = json_array();
	for (size_t i = 0; i < p->count; i++)
		json_array_append_new(list, one_json(&p->view[i]));
	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "processes", list);
	return o;
}

static void one_text(const struct weir_process_view *v, FILE *out)
{
	static const char *const states[] = {
		[WEIR_PROCESS_WAITS] = "waiting", [WEIR_PROCESS_IN_FLIGHT] = "in flight", [WEIR_PROCESS_IDLE] = "idle"};
	char since[32] = "-", host[WEIR_SPELLING_MAX] = "-", ends[32];
	if (v->activity != WEIR_PROCESS_IDLE)
		weir_print_duration(v->since_ns, since, sizeof since);
	if (v->host[0])
		weir_spell(v->host, host);
	fprintf(out, "%7" PRIu32 " %-15s %-9s %8s  %s", v->pid, v->name, v->stopped ? "stopped" : states[v->activity], since,
		host);
	if (v->foreign)
		fputs("  (of another pid namespace)", out);
	fputc('\n', out);
	if (v->cause == WEIR_CAUSE_NONE)
		return;
	fprintf(out, "%8s%s", "", weir_cause_text(v->cause));
	if (v->ends_ns)
		fprintf(out, ", for %s more", weir_print_duration(v->ends_ns, ends, sizeof ends));
	if (v->rule[0])
		fprintf(out, " (rule %s)", v->rule);
	fputc('\n', out);
}

void weir_processes_text(const struct weir_processes *p, FILE *out)
{
	if (p->count == 0) {
		fputs("no process is under weir that has made a request\n", out);
		return;
	}
	fprintf(out, "%7s %-15s %-9s %8s  %s\n", "PID", "COMMAND", "STATE", "FOR", "HOST");
	for (size_t i = 0; i < p->count; i++)
		one_text(&p->view[i], out);
}
