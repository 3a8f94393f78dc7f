/* SPDX-License-Identifier: MIT */
#include "src/agent/alerts.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/agent/kept_alerts.h"
#include "src/agent/system_log.h"
#include "src/stats/entry_view.h"
#include "src/stats/event_text.h"
#include "src/stats/render.h"
#include "src/stats/spelling.h"
#include "src/stats/watched.h"
#include "weir/gate.h"
#include "weir/log.h"

#define SYSTEM_LOG    "/dev/log"
#define TRIM_EVERY_NS UINT64_C(60000000000)

/* Which rule an entry has, as long as entry and policy are the same: matching names costs more than all the rest of a look. */
struct place {
	uint64_t word, generation;
	uint32_t rule;
};

struct weir_alerts {
	const struct weir_segment *segment;
	const struct weir_compiler *compiler;
	struct weir_monitor *monitor;
	struct weir_hooks *hooks;
	struct place *place;              /* entries */
	struct weir_occupancy *occupancy; /* entries + 1 */
	struct weir_policy_view policy;
	char path[WEIR_PATH_MAX];
	uint64_t trimmed_ns;
	uint64_t kept; /* changes of the monitor when the file was last written */
	uint64_t now_ns;
};

static uint64_t wall_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

struct weir_alerts *weir_alerts_begin(const struct weir_environment *e, const struct weir_world *world,
				      const struct weir_segment *segment, const struct weir_compiler *compiler, uint64_t now_ns)
{
	struct weir_alerts *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->segment = segment;
	a->compiler = compiler;
	a->monitor = weir_monitor_new(now_ns);
	a->hooks = weir_hooks_new(e->home);
	a->place = calloc(segment->entries, sizeof *a->place);
	a->occupancy = calloc((size_t)segment->entries + 1, sizeof *a->occupancy);
	if (!a->monitor || !a->hooks || !a->place || !a->occupancy ||
	    weir_format(a->path, sizeof a->path, "%s/alerts%s", world->dir, world->suffix) >= sizeof a->path - 1) {
		weir_alerts_end(a);
		return NULL;
	}
	weir_kept_alerts_read(a->monitor, a->path, wall_now_ns());
	a->kept = weir_monitor_changes(a->monitor);
	/* Before anybody can ask: whoever got an answer may count on being watched. */
	weir_alerts_turn(a, now_ns);
	return a;
}

void weir_alerts_end(struct weir_alerts *a)
{
	if (!a)
		return;
	weir_hooks_end(a->hooks);
	weir_monitor_free(a->monitor);
	free(a->place);
	free(a->occupancy);
	free(a);
}

static const struct weir_alert_actions *actions_of(const struct weir_alerts *a)
{
	return a->compiler->compiled ? &a->compiler->policy.alert_actions : &weir_alert_no_actions;
}

/* Where the rules in force are not those that were compiled here (they were recalled, or others are on their way), the usual
 * thresholds hold. */
static const struct weir_alert_params *params_of(const struct weir_alerts *a, uint32_t rule)
{
	const struct weir_policy *p = &a->compiler->policy;
	if (!a->compiler->compiled || !p->alerts || p->rule_count != a->policy.rule_count || rule >= p->rule_count)
		return &weir_alert_builtin;
	return &p->alerts[rule];
}

static uint32_t rule_of(struct weir_alerts *a, uint32_t slot, const char *key)
{
	struct place *p = &a->place[slot];
	uint64_t word = atomic_load_explicit(&a->segment->index[slot], memory_order_relaxed);
	/* since_s of the word moves with its states: the same word is the same key. */
	if (p->word != word || p->generation != a->policy.generation || word == 0)
		*p = (struct place){word, a->policy.generation, weir_entry_rule(&a->policy, key)};
	return p->rule;
}

static json_t *describe(const struct weir_alerts *a, const struct weir_alert *alert, const char *event)
{
	char host[256] = "", at[32];
	json_t *o = weir_alert_json(alert);
	weir_render_time(wall_now_ns(), at);
	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "event", json_string(event));
	json_object_set_new(o, "at", json_string(at));
	if (gethostname(host, sizeof host - 1) == 0 && host[0])
		json_object_set_new(o, "machine", json_string(host));
	json_object_set_new(o, "user", json_integer((json_int_t)geteuid()));
	json_object_set_new(o, "health", json_string(weir_monitor_health_name(weir_monitor_health(a->monitor))));
	return o;
}

static void run_command(struct weir_alerts *a, const struct weir_alert *alert, const char *event)
{
	const struct weir_alert_actions *actions = actions_of(a);
	if (!actions->command[0])
		return;
	json_t *o = describe(a, alert, event);
	char *text = o ? json_dumps(o, WEIR_JSON_FLAGS) : NULL;
	json_decref(o);
	if (text)
		weir_hooks_run(a->hooks, actions->command, text, actions->command_time_ns, a->now_ns);
	free(text);
}

static void tell(void *data, const struct weir_alert *alert)
{
	struct weir_alerts *a = data;
	bool fired = alert->state == WEIR_ALERT_FIRING;
	char name[WEIR_SPELLING_MAX], text[WEIR_ALERT_TEXT_MAX], line[WEIR_SPELLING_MAX + WEIR_ALERT_TEXT_MAX + 16];
	uint64_t limit = alert->limit < WEIR_EVENT_ALERT_LIMIT ? alert->limit : WEIR_EVENT_ALERT_LIMIT;
	weir_event_write(a->segment, fired ? WEIR_EVENT_ALERT_FIRED : WEIR_EVENT_ALERT_RESOLVED, WEIR_CAUSE_NONE, alert->host,
			 (uint64_t)alert->kind << 56 | limit, alert->value, 0, a->now_ns);
	weir_spell(alert->host, name);
	weir_format(line, sizeof line, "%s: %s", name, weir_alert_text(alert, text));
	weir_log(fired ? WEIR_LOG_WARN : WEIR_LOG_INFO, "agent: alert: %s", line);
	if (alert->silenced)
		return;
	if (actions_of(a)->syslog)
		weir_system_log(SYSTEM_LOG, fired, "alert: ", line);
	run_command(a, alert, fired ? "fired" : "resolved");
}

/* Whether the breaker keeps requests away: not by the operator's word, and not one that has been left open by the last request of
 * all, whose time is over. */
static bool keeps_away(const struct weir_entry *e, const struct weir_rule *rule, uint64_t window_ns, uint64_t now_ns)
{
	struct weir_breaker_view b = weir_breaker_view(&e->breaker, &rule->breaker, now_ns);
	uint64_t used = atomic_load_explicit(&e->used_ns, memory_order_relaxed);
	if (b.state == WEIR_BREAKER_CLOSED || b.state == WEIR_BREAKER_FORCED_OPEN)
		return false;
	return (b.state == WEIR_BREAKER_OPEN && b.until_ns > now_ns) || now_ns < used || now_ns - used < window_ns;
}

/* Of the quota that is nearest to its end. */
static uint32_t quota_used(const struct weir_segment *s, uint32_t slot)
{
	struct weir_account_view view[WEIR_ALLOWANCES];
	uint64_t wall_ms = 0, most = 0;
	unsigned n = weir_gate_quotas(s, slot, view, &wall_ms);
	for (unsigned i = 0; i < n && i < WEIR_ALLOWANCES; i++) {
		uint64_t used = view[i].limit > 0 && view[i].used < view[i].limit ? view[i].used * 1000 / view[i].limit : 1000;
		if (view[i].limit > 0 && used > most)
			most = used;
	}
	return (uint32_t)most;
}

static void look_at(struct weir_alerts *a, uint32_t slot, const char *key)
{
	const struct weir_entry *e = &a->segment->entry[slot];
	struct weir_histogram_copy latency;
	struct weir_rule rule;
	uint32_t index = rule_of(a, slot, key);
	const struct weir_alert_params *params = params_of(a, index);
	struct weir_monitor_sample sample = {
		.succeeded = atomic_load_explicit(&e->rate.accepted, memory_order_relaxed),
		.throttled = atomic_load_explicit(&e->rate.throttled, memory_order_relaxed),
		.failed = atomic_load_explicit(&e->rate.failed, memory_order_relaxed),
		.waiting = a->occupancy[slot].waiting,
	};
	if (index < a->policy.rule_count) /* a copy: it may change between two looks */
		memcpy(&rule, &a->policy.rules[index], sizeof rule);
	else
		weir_rule_defaults(&rule);
	sample.open = keeps_away(e, &rule, params->window_ns, a->now_ns);
	if (weir_allowances_count(&rule.allowances) > 0)
		sample.quota_permille = quota_used(a->segment, slot);
	if (weir_monitor_moved(a->monitor, key, sample.succeeded + sample.throttled + sample.failed)) {
		weir_durations_copy(a->segment, slot, WEIR_DURATIONS_LATENCY, &latency);
		sample.latency = &latency;
	}
	weir_monitor_sample(a->monitor, key, params, &sample);
}

/* What an hour with a thousand busy hosts took is given back when they rest; by itself the C library keeps it. */
static void trim(struct weir_alerts *a, uint64_t now_ns)
{
	if (now_ns - a->trimmed_ns < TRIM_EVERY_NS)
		return;
	a->trimmed_ns = now_ns;
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void weir_alerts_turn(struct weir_alerts *a, uint64_t now_ns)
{
	char key[WEIR_KEY_MAX];
	if (!a)
		return;
	a->now_ns = now_ns;
	a->policy = weir_policy_in_force(a->segment);
	memset(a->occupancy, 0, ((size_t)a->segment->entries + 1) * sizeof *a->occupancy);
	weir_lease_occupancy(a->segment, a->occupancy);
	weir_monitor_begin(a->monitor, now_ns, wall_now_ns(), tell, a);
	for (uint32_t slot = 0; slot < a->segment->entries; slot++) {
		if (atomic_load_explicit(&a->segment->index[slot], memory_order_relaxed) == 0 ||
		    !weir_entry_key(a->segment, slot, key))
			continue;
		if (weir_entry_kind_of(key) == WEIR_ENTRY_HOST)
			look_at(a, slot, key);
	}
	weir_monitor_end(a->monitor);
	weir_hooks_turn(a->hooks, now_ns);
	weir_alerts_keep(a);
	trim(a, now_ns);
}

void weir_alerts_keep(struct weir_alerts *a)
{
	uint64_t changes = a ? weir_monitor_changes(a->monitor) : 0;
	if (!a || changes == a->kept)
		return;
	a->kept = changes;
	int err = weir_kept_alerts_write(a->monitor, a->path);
	if (err)
		weir_log(WEIR_LOG_WARN, "agent: %s: %s", a->path, strerror(err));
}

bool weir_alerts_busy(const struct weir_alerts *a)
{
	return a && (weir_hooks_busy(a->hooks) || weir_monitor_fires(a->monitor, true));
}

struct weir_monitor *weir_alerts_monitor(const struct weir_alerts *a)
{
	return a ? a->monitor : NULL;
}

struct weir_hook_counts weir_alerts_commands(const struct weir_alerts *a)
{
	return a ? weir_hooks_counts(a->hooks) : (struct weir_hook_counts){0};
}

bool weir_alerts_test(struct weir_alerts *a, uint64_t now_ns)
{
	const struct weir_alert alert = {.host = "test.invalid:443",
					 .kind = WEIR_ALERT_ERROR_RATE,
					 .state = WEIR_ALERT_FIRING,
					 .value = 1000,
					 .limit = weir_alert_builtin.limit[WEIR_ALERT_ERROR_RATE],
					 .worst = 1000,
					 .since_wall_ns = wall_now_ns()};
	if (!actions_of(a)->command[0])
		return false;
	a->now_ns = now_ns;
	run_command(a, &alert, "test");
	return true;
}
