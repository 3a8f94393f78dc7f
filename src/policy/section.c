/* SPDX-License-Identifier: MIT */
/* The sections of a file: defaults, total, hosts; agent, segment. */
#include "src/policy/compilation.h"

#include <stdio.h>
#include <string.h>

#include "src/policy/alerts.h"
#include "src/policy/allowance.h"
#include "src/policy/field.h"

#define S UINT64_C(1000000000)

static const char *const sections[] = {"defaults", "hosts", "total", "alerts", "agent", "segment", NULL};

/* What a rule may hold, by the section it stands in. */
static const char *const rule_keys[] = {"match",      "group",  "exempt",  "throttle_status", "rate",   "rates",  "concurrency",
					"breaker",    "wait",   "hold",    "retry",           "quotas", "spread", "source",
					"priority",   "queue",  "share",   "verified_on",     "path",   "method", "apart",
					"per_client", "alerts", "degrade", "profile",         NULL};
static const char *const default_keys[] = {
	"exempt", "throttle_status", "rate",     "rates", "concurrency", "breaker",    "wait",    "hold",    "retry",
	"quotas", "spread",          "priority", "queue", "share",       "per_client", "degrade", "profile", NULL};
static const char *const total_keys[] = {"rate", "rates", "concurrency", "wait", NULL};

static bool listed(const char *name, const char *const names[])
{
	for (size_t i = 0; names[i]; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* What a rule may hold that stands beside its host's. */
static const char *const beside_keys[] = {"match", "path",        "method", "apart",  "exempt", "group",  "rate",
					  "rates", "concurrency", "wait",   "quotas", "spread", "alerts", NULL};

/* Whether it has but fixed limits. */
static bool is_total(const struct weir_draft *d, const struct weir_setting *s)
{
	return d == &s->c->total || weir_narrow_is_beside(d);
}

/* The field that is called group.key, WEIR_FIELDS when there is none. */
static enum weir_field_id find(const char *group, const char *key, bool total)
{
	size_t n = strlen(group);

	for (unsigned id = 0; id < WEIR_FIELDS; id++) {
		const char *name = weir_field_table[id].name;

		if (strncmp(name, group, n) == 0 && name[n] == '.' && strcmp(name + n + 1, key) == 0 &&
		    (!total || weir_field_table[id].total))
			return (enum weir_field_id)id;
	}
	return WEIR_FIELDS;
}

static void unknown_in_group(const struct weir_setting *s, const char *group, bool total)
{
	const char *names[WEIR_FIELDS + 1] = {NULL};
	size_t n = strlen(group), count = 0;

	for (unsigned id = 0; id < WEIR_FIELDS; id++) {
		const char *name = weir_field_table[id].name;

		if (strncmp(name, group, n) == 0 && name[n] == '.' && (!total || weir_field_table[id].total))
			names[count++] = name + n + 1;
	}
	weir_setting_unknown(s, names);
}

/* rate = { ... }, breaker = { ... } and so on. */
static void take_group(struct weir_draft *d, const struct weir_setting *s, const char *group)
{
	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting child = weir_setting_child(s, i);
		enum weir_field_id id = find(group, weir_setting_name(&child), is_total(d, s));

		if (id == WEIR_FIELDS)
			unknown_in_group(&child, group, is_total(d, s));
		else
			weir_field_read(d, id, &child);
	}
}

static void say(struct weir_draft *d, enum weir_field_id id, uint64_t value, struct weir_place at)
{
	weir_field_put(&d->rule, id, value);
	weir_field_said(d, id, at);
}

/* A fixed rate has a burst of one unless its rule says another: spaced evenly, no window ever sees more than the quota. A larger
 * burst would come on top of it, once in every window. */
static void say_fixed(struct weir_draft *d, uint64_t rate, struct weir_place at)
{
	say(d, WEIR_FIELD_RATE, 1, at);
	say(d, WEIR_FIELD_STRATEGY, WEIR_FIXED, at);
	say(d, WEIR_FIELD_RATE_MAX, rate, at);
	say(d, WEIR_FIELD_BURST, 1, at);
}

static bool is_false(const struct weir_setting *s)
{
	return config_setting_type(s->setting) == CONFIG_TYPE_BOOL && !config_setting_get_bool(s->setting);
}

/* rate = { ... }, rate = "5/s", rate = "none", rate = false */
static void take_rate(struct weir_draft *d, const struct weir_setting *s)
{
	static const char what[] = "a rate such as \"5/s\", \"none\", false or a group { }";
	struct weir_place at = weir_setting_place(s);
	const char *text = weir_setting_text(s);
	uint64_t rate;

	if (weir_setting_is_group(s)) {
		struct weir_setting strategy;
		const char *word = weir_setting_member(s, "strategy", &strategy) ? weir_setting_text(&strategy) : NULL;

		if (weir_setting_children(s) == 0)
			return;
		say(d, WEIR_FIELD_RATE, 1, at);
		if (word && strcmp(word, "fixed") == 0)
			say(d, WEIR_FIELD_BURST, 1, weir_setting_place(&strategy));
		take_group(d, s, "rate");
	} else if (is_false(s) || (text && strcmp(text, "none") == 0)) {
		say(d, WEIR_FIELD_RATE, 0, at);
		memset(d->rule.fixed, 0, sizeof d->rule.fixed);
		weir_field_said(d, WEIR_FIELD_RATES, at);
	} else if (!text) {
		weir_setting_expected(s, what, NULL);
	} else if (weir_value_rate(s, false, &rate)) {
		say_fixed(d, rate, at);
	}
}

/* concurrency = { ... }, concurrency = 4, concurrency = false */
static void take_concurrency(struct weir_draft *d, const struct weir_setting *s)
{
	struct weir_place at = weir_setting_place(s);
	uint64_t n;

	if (weir_setting_is_group(s)) {
		take_group(d, s, "concurrency");
	} else if (is_false(s)) {
		say(d, WEIR_FIELD_MODE, WEIR_CONCURRENCY_OFF, at);
	} else if (!weir_setting_number(s)) {
		weir_setting_expected(s, "a number such as 4, false or a group { }", NULL);
	} else if (weir_value_count(s, 1, weir_field_table[WEIR_FIELD_CONCURRENCY_MAX].max, &n)) {
		say(d, WEIR_FIELD_MODE, WEIR_CONCURRENCY_FIXED, at);
		say(d, WEIR_FIELD_CONCURRENCY_MAX, n, at);
	}
}

/* breaker = { ... }, breaker = false: none of the three causes opens it, and nothing is shed. */
static void take_breaker(struct weir_draft *d, const struct weir_setting *s)
{
	struct weir_place at = weir_setting_place(s);

	if (weir_setting_is_group(s)) {
		take_group(d, s, "breaker");
	} else if (is_false(s)) {
		say(d, WEIR_FIELD_FAILURES, 0, at);
		say(d, WEIR_FIELD_FAILURE_RATE, 0, at);
		say(d, WEIR_FIELD_SLOW_RATE, 0, at);
		if (d->rule.breaker.mode == WEIR_BREAKER_SHEDS)
			say(d, WEIR_FIELD_BREAKER_MODE, WEIR_BREAKER_OPENS, at);
	} else {
		weir_setting_expected(s, "false or a group { }", NULL);
	}
}

/* degrade = { ... }, degrade = false: nothing is given up. */
static void take_degrade(struct weir_draft *d, const struct weir_setting *s)
{
	struct weir_place at = weir_setting_place(s);

	if (weir_setting_is_group(s)) {
		take_group(d, s, "degrade");
	} else if (is_false(s)) {
		say(d, WEIR_FIELD_DEGRADE_QUEUE, 0, at);
		say(d, WEIR_FIELD_DEGRADE_LATENCY, 0, at);
		say(d, WEIR_FIELD_DEGRADE_ERRORS, 0, at);
		say(d, WEIR_FIELD_DEGRADE_QUOTA, 0, at);
	} else {
		weir_setting_expected(s, "false or a group such as { queue = 100; latency = \"2s\"; }", NULL);
	}
}

/* wait = { max = "60s"; }, hold = { max = "1h"; }, queue = { max = 1000; }, share = { normal = 0.2; low = 0.05; } */
static void take_bound(struct weir_draft *d, const struct weir_setting *s, const char *group)
{
	if (weir_setting_is_group(s))
		take_group(d, s, group);
	else if (strcmp(group, "queue") == 0)
		weir_setting_expected(s, "a group such as { max = 1000; }", NULL);
	else if (strcmp(group, "share") == 0)
		weir_setting_expected(s, "a group such as { normal = 0.2; low = 0.05; }", NULL);
	else
		weir_setting_expected(s, "a group such as { max = \"60s\"; }", NULL);
}

/* retry = { ... }, retry = 3, retry = true, retry = false. A group that says no number means the usual one. */
static void take_retry(struct weir_draft *d, const struct weir_setting *s)
{
	struct weir_place at = weir_setting_place(s);
	struct weir_setting attempts;
	uint64_t n;

	if (weir_setting_is_group(s)) {
		if (weir_setting_children(s) > 0 && !weir_setting_member(s, "attempts", &attempts) &&
		    weir_field_get(&d->rule, WEIR_FIELD_RETRY_ATTEMPTS) < 2)
			say(d, WEIR_FIELD_RETRY_ATTEMPTS, weir_profile_attempts(d->profile), at);
		take_group(d, s, "retry");
	} else if (config_setting_type(s->setting) == CONFIG_TYPE_BOOL) {
		say(d, WEIR_FIELD_RETRY_ATTEMPTS, is_false(s) ? 1 : weir_profile_attempts(d->profile), at);
	} else if (!weir_setting_number(s)) {
		weir_setting_expected(s, "a number of attempts such as 3, true, false or a group { }", NULL);
	} else if (weir_value_count(s, 1, WEIR_RETRY_ATTEMPTS_MAX, &n)) {
		say(d, WEIR_FIELD_RETRY_ATTEMPTS, n, at);
	}
}

/* per_client = { rate = "2/s"; concurrency = 2; }, per_client = "2/s" */
static void take_per_client(struct weir_draft *d, const struct weir_setting *s)
{
	uint64_t rate;

	if (weir_setting_is_group(s))
		take_group(d, s, "per_client");
	else if (!weir_setting_text(s))
		weir_setting_expected(s, "a rate such as \"2/s\" or a group { rate = \"2/s\"; concurrency = 2; }", NULL);
	else if (weir_value_rate(s, true, &rate))
		say(d, WEIR_FIELD_CLIENT_RATE, rate, weir_setting_place(s));
}

static void take_text(struct weir_draft *d, const struct weir_setting *s, bool match)
{
	const char *what = match ? "a host such as \"api.example.org\", \"*.example.org:443\" or \"[::1]:8080\""
				 : "a name such as \"example\"";
	const char *text = weir_setting_text(s), *wrong;
	uint32_t flags = 0;

	if (!text) {
		weir_setting_expected(s, what, NULL);
		return;
	}
	wrong = match ? weir_match_read(text, d->rule.match, &flags) : weir_group_read(text, d->rule.group);
	if (wrong)
		weir_setting_expected(s, what, wrong);
	else if (match)
		d->rule.flags = (d->rule.flags & ~(uint32_t)(WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT)) | flags;
	else
		d->group_at = weir_setting_place(s);
}

static void take_key(struct weir_draft *d, const struct weir_setting *s, const char *name)
{
	if (weir_narrow_take(d, s, name))
		return;
	if (strcmp(name, "match") == 0)
		take_text(d, s, true);
	else if (strcmp(name, "group") == 0)
		take_text(d, s, false);
	else if (strcmp(name, "source") == 0 || strcmp(name, "verified_on") == 0)
		weir_provenance_read(d, s, name[0] == 'v');
	else if (strcmp(name, "alerts") == 0)
		weir_alerts_read(d, s, false);
	else if (strcmp(name, "exempt") == 0)
		weir_field_read(d, WEIR_FIELD_EXEMPT, s);
	else if (strcmp(name, "throttle_status") == 0)
		weir_field_read(d, WEIR_FIELD_THROTTLE_STATUS, s);
	else if (strcmp(name, "quotas") == 0)
		weir_allowances_read(d, s);
	else if (strcmp(name, "spread") == 0)
		weir_field_read(d, WEIR_FIELD_SPREAD, s);
	else if (strcmp(name, "priority") == 0)
		weir_field_read(d, WEIR_FIELD_PRIORITY, s);
	else if (strcmp(name, "rate") == 0)
		take_rate(d, s);
	else if (strcmp(name, "concurrency") == 0)
		take_concurrency(d, s);
	else if (strcmp(name, "breaker") == 0)
		take_breaker(d, s);
	else if (strcmp(name, "retry") == 0)
		take_retry(d, s);
	else if (strcmp(name, "degrade") == 0)
		take_degrade(d, s);
	else if (strcmp(name, "per_client") == 0)
		take_per_client(d, s);
	else
		take_bound(d, s, name);
}

/* Takes over everything that a group of rule keys says. */
static void take_rule(struct weir_draft *d, const struct weir_setting *s, const char *const keys[])
{
	struct weir_setting rate, rates = {0}, profile;
	bool rate_said =
		weir_setting_member(s, "rate", &rate) && !(weir_setting_is_group(&rate) && weir_setting_children(&rate) == 0);

	/* First, wherever it stands: the other keys change what it says. */
	if (listed("profile", keys) && weir_setting_member(s, "profile", &profile))
		weir_profile_read(d, &profile);
	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting child = weir_setting_child(s, i);
		const char *name = weir_setting_name(&child);

		if (!listed(name, keys))
			weir_setting_unknown(&child, keys);
		else if (strcmp(name, "profile") == 0)
			continue;
		else if (strcmp(name, "rates") == 0)
			rates = child;
		else
			take_key(d, &child, name);
	}
	/* Last, wherever it stands: what it means depends on whether `rate` is said. */
	if (!rates.setting)
		return;
	if (rate_said && !weir_field_get(&d->rule, WEIR_FIELD_RATE) && weir_setting_children(&rates) > 0)
		weir_finding_add(s->c, weir_setting_place(&rates), rates.path,
				 "rates are given, but rate is switched off beside them");
	else
		weir_quotas_read(d, &rates, rate_said);
}

/* Reads the one key that agent and segment have. */
static void take_single(const struct weir_setting *s, const char *key, struct weir_place *from)
{
	const char *const names[] = {key, NULL};
	struct weir_compilation *c = s->c;

	if (!weir_setting_is_group(s)) {
		weir_setting_expected(s, "a group { }", NULL);
		return;
	}
	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting child = weir_setting_child(s, i);
		bool ok;

		if (strcmp(weir_setting_name(&child), key) != 0) {
			weir_setting_unknown(&child, names);
			continue;
		}
		if (from == &c->idle_exit_from)
			ok = weir_value_duration(&child, S, 366 * 86400 * S, &c->idle_exit_ns);
		else
			ok = weir_value_count(&child, WEIR_ENTRIES_MIN, WEIR_ENTRIES_MAX, &c->entries);
		if (ok)
			*from = weir_setting_place(&child);
	}
}

void weir_section_globals(struct weir_compilation *c, uint32_t document)
{
	struct weir_setting root = weir_setting_root(c, document);

	for (unsigned i = 0; i < weir_setting_children(&root); i++) {
		struct weir_setting s = weir_setting_child(&root, i);
		const char *name = weir_setting_name(&s);
		bool defaults = strcmp(name, "defaults") == 0;

		if (!listed(name, sections))
			weir_setting_unknown(&s, sections);
		else if (strcmp(name, "agent") == 0)
			take_single(&s, "idle_exit", &c->idle_exit_from);
		else if (strcmp(name, "segment") == 0)
			take_single(&s, "hosts", &c->entries_from);
		else if (strcmp(name, "alerts") == 0)
			weir_alerts_read(&c->defaults, &s, true);
		else if (strcmp(name, "hosts") == 0)
			continue;
		else if (!weir_setting_is_group(&s))
			weir_setting_expected(&s, "a group { }", NULL);
		else if (defaults)
			take_rule(&c->defaults, &s, default_keys);
		else
			take_rule(&c->total, &s, total_keys);
	}
}

static bool are_for_the_same(const struct weir_rule *a, const struct weir_rule *b)
{
	return strcmp(a->match, b->match) == 0 && a->narrow.methods == b->narrow.methods &&
	       strcmp(a->narrow.path, b->narrow.path) == 0;
}

/* A rule of the same file (they begin at index `first`) with the same match is a mistake; one of a later file hides this one. */
static void compare(struct weir_compilation *c, struct weir_draft *d, size_t first)
{
	for (size_t i = 0; i < c->hosts; i++) {
		if (!are_for_the_same(&c->host[i].rule, &d->rule))
			continue;
		if (i < first) {
			d->hidden = true;
			continue;
		}
		weir_finding_add(c, d->at, d->path, "\"%s\" is matched by %s already, on line %u", d->rule.match, c->host[i].path,
				 c->host[i].at.line);
		return;
	}
}

void weir_section_drop_hidden(struct weir_compilation *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->hosts; i++) {
		if (!c->host[i].hidden)
			c->host[kept++] = c->host[i];
	}
	c->hosts = kept;
}

static void take_host(struct weir_compilation *c, const struct weir_setting *s, size_t first)
{
	struct weir_draft *d = &c->host[c->hosts];

	*d = c->defaults;
	snprintf(d->path, sizeof d->path, "%.31s", s->path);
	d->at = weir_setting_place(s);
	d->said = 0;
	d->alerts_said = 0;
	d->rule.match[0] = '\0';
	if (!weir_setting_is_group(s)) {
		weir_setting_expected(s, "a rule { match = \"HOST\"; ... }", NULL);
		return;
	}
	size_t findings = c->findings;
	struct weir_setting match;

	weir_narrow_begin(d, s);
	take_rule(d, s, weir_narrow_is_beside(d) ? beside_keys : rule_keys);
	if (!weir_setting_member(s, "match", &match))
		weir_finding_add(c, d->at, d->path, "match is missing: say which hosts this rule is for");
	if (c->findings == findings)
		weir_check_draft(c, d);
	if (d->rule.match[0] == '\0')
		return;
	compare(c, d, first);
	c->hosts++;
}

void weir_section_hosts(struct weir_compilation *c, uint32_t document)
{
	struct weir_setting root = weir_setting_root(c, document), s;
	size_t first = c->hosts;

	if (!weir_setting_member(&root, "hosts", &s))
		return;
	if (config_setting_type(s.setting) != CONFIG_TYPE_LIST) {
		weir_setting_expected(&s, "a list of rules ( { match = \"HOST\"; ... }, ... )", NULL);
		return;
	}
	for (unsigned i = 0; i < weir_setting_children(&s); i++) {
		struct weir_setting rule = weir_setting_child(&s, i);

		if (c->hosts == WEIR_HOSTS_MAX) {
			weir_finding_add(c, weir_setting_place(&rule), rule.path,
					 "too many rules: at most %u in all files together", WEIR_HOSTS_MAX);
			return;
		}
		take_host(c, &rule, first);
	}
}
