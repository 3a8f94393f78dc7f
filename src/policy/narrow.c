/* SPDX-License-Identifier: MIT */
/*
 * Narrowed rules: { match = "HOST"; path = "/search/?"; method = [ "POST", "PUT" ]; apart = true; ... }.
 *
 * Each belongs to the rule that the host has without it: the one with the same match, or, where there is none, a copy of what
 * would hold for that match. The compiled table has the hosts' rules first, and behind them those that are narrowed from each,
 * side by side, so that a request looks at those of its own host alone.
 */
#include "src/policy/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char path_what[] = "a glob of a path without its query, such as \"/search/*\"";
static const char method_what[] = "a method such as \"POST\", or a list of them";

bool weir_narrow_is(const struct weir_draft *d)
{
	return (d->rule.narrow.flags & WEIR_NARROW_IS) != 0;
}

bool weir_narrow_is_beside(const struct weir_draft *d)
{
	return weir_narrow_is(d) && (d->rule.narrow.flags & WEIR_NARROW_APART) == 0;
}

/* Of printable ASCII, as it is sent. */
static void take_path(struct weir_draft *d, const struct weir_setting *s)
{
	const char *text = weir_setting_text(s);
	size_t n = text ? strlen(text) : 0;

	if (!text || (text[0] != '/' && text[0] != '*')) {
		weir_setting_expected(s, path_what, text ? "it begins with neither / nor *" : NULL);
		return;
	}
	if (n >= WEIR_PATH_GLOB_MAX) {
		weir_setting_expected(s, path_what, "it is longer than 127 characters");
		return;
	}
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '#' || (unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f) {
			weir_setting_expected(s, path_what, "it holds a character that no path is sent with: write it as %XX");
			return;
		}
	}
	memset(d->rule.narrow.path, 0, sizeof d->rule.narrow.path);
	memcpy(d->rule.narrow.path, text, n);
}

static bool read_method(const struct weir_setting *s, uint32_t *bits)
{
	const char *text = weir_setting_text(s);
	uint32_t bit = text ? weir_method_bit(text, strlen(text)) : 0;

	if (bit == 0)
		return weir_setting_expected(s, method_what, text ? "it is unknown, or in small letters" : NULL);
	if ((*bits & bit) != 0)
		return weir_setting_expected(s, "each method once", NULL);
	*bits |= bit;
	return true;
}

static void take_method(struct weir_draft *d, const struct weir_setting *s)
{
	uint32_t bits = 0;
	bool ok = true;

	if (!weir_setting_is_list(s)) {
		ok = read_method(s, &bits);
	} else if (weir_setting_children(s) == 0) {
		ok = weir_setting_expected(s, method_what, "it is empty");
	} else {
		for (unsigned i = 0; i < weir_setting_children(s); i++) {
			struct weir_setting one = weir_setting_child(s, i);

			ok = read_method(&one, &bits) && ok;
		}
	}
	if (ok)
		d->rule.narrow.methods = bits;
}

bool weir_narrow_take(struct weir_draft *d, const struct weir_setting *s, const char *name)
{
	if (strcmp(name, "path") == 0)
		take_path(d, s);
	else if (strcmp(name, "method") == 0)
		take_method(d, s);
	else if (strcmp(name, "apart") != 0)
		return false;
	else if (!weir_narrow_is(d))
		weir_finding_add(s->c, weir_setting_place(s), s->path,
				 "apart says how a rule with a path or a method stands to its host's, and this is none");
	return true;
}

/* Nothing but what the rule says itself: the rest is the host's rule's. */
static void limit_nothing(struct weir_rule *r)
{
	uint64_t wait_max_ns = r->wait_max_ns, hold_max_ns = r->hold_max_ns;

	weir_rule_defaults(r);
	r->wait_max_ns = wait_max_ns;
	r->hold_max_ns = hold_max_ns;
	weir_rule_limit_nothing(r);
}

void weir_narrow_begin(struct weir_draft *d, const struct weir_setting *s)
{
	struct weir_setting one;
	bool apart = false, exempt = false;

	if (!weir_setting_member(s, "path", &one) && !weir_setting_member(s, "method", &one))
		return;
	d->rule.narrow.flags = WEIR_NARROW_IS;
	if (weir_setting_member(s, "apart", &one))
		weir_value_bool(&one, &apart);
	if (weir_setting_member(s, "exempt", &one) && config_setting_type(one.setting) == CONFIG_TYPE_BOOL)
		exempt = config_setting_get_bool(one.setting);
	if (apart || exempt)
		d->rule.narrow.flags |= WEIR_NARROW_APART;
	else
		limit_nothing(&d->rule);
	d->rule.narrow.flags |= WEIR_NARROW_IS;
	if (weir_setting_member(s, "group", &one))
		weir_finding_add(one.c, weir_setting_place(&one), one.path, "the group is that of the host's own rule");
}

/* Whether whatever the second is for is for the first as well: of globs, where that can be seen. */
static bool covers(const struct weir_narrow *a, const struct weir_narrow *b)
{
	if (a->methods != 0 && (b->methods == 0 || (b->methods & ~a->methods) != 0))
		return false;
	if (a->path[0] == '\0' || strcmp(a->path, b->path) == 0)
		return true;
	return b->path[0] != '\0' && !strchr(a->path, '?') && weir_glob(a->path, strlen(a->path), b->path, strlen(b->path));
}

/* What holds for a match where no rule has it: the first glob that is for all of it, else the defaults. */
static const struct weir_draft *covering(const struct weir_compilation *c, const struct weir_rule *r)
{
	for (size_t i = 0; i < c->hosts; i++) {
		const struct weir_rule *other = &c->host[i].rule;
		const char *colon = strrchr(r->match, ':');
		size_t n = strlen(r->match);

		if (weir_narrow_is(&c->host[i]) || (other->flags & WEIR_RULE_GLOB) == 0)
			continue;
		if ((other->flags & WEIR_RULE_ANY_PORT) != 0 && (r->flags & WEIR_RULE_ANY_PORT) == 0 && colon)
			n = (size_t)(colon - r->match);
		if ((other->flags & WEIR_RULE_ANY_PORT) == 0 && (r->flags & WEIR_RULE_ANY_PORT) != 0)
			continue;
		if (weir_glob(other->match, strlen(other->match), r->match, n))
			return &c->host[i];
	}
	/* A rule without a port is for a name with one. */
	for (size_t i = 0; i < c->hosts; i++) {
		const struct weir_rule *other = &c->host[i].rule;
		size_t n = strlen(other->match);

		if (!weir_narrow_is(&c->host[i]) &&
		    (other->flags & (WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT)) == WEIR_RULE_ANY_PORT &&
		    strncmp(other->match, r->match, n) == 0 && r->match[n] == ':' && strchr(r->match + n + 1, ':') == NULL)
			return &c->host[i];
	}
	return &c->defaults;
}

static void make_host_rule(const struct weir_compilation *c, const struct weir_draft *d, struct weir_draft *out)
{
	*out = *covering(c, &d->rule);
	out->at = d->at;
	out->said = 0;
	out->hidden = false;
	memcpy(out->path, d->path, sizeof out->path);
	memcpy(out->rule.match, d->rule.match, sizeof out->rule.match);
	out->rule.flags = (out->rule.flags & ~(uint32_t)(WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT)) |
			  (d->rule.flags & (WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT));
	memset(out->rule.narrow.path, 0, sizeof out->rule.narrow.path);
	out->rule.narrow.flags = out->rule.narrow.methods = 0;
}

static bool has(const struct weir_draft *list, size_t n, const char *match)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].rule.match, match) == 0)
			return true;
	return false;
}

static bool has_own(const struct weir_compilation *c, const char *match)
{
	for (size_t i = 0; i < c->hosts; i++)
		if (!weir_narrow_is(&c->host[i]) && strcmp(c->host[i].rule.match, match) == 0)
			return true;
	return false;
}

/* The rules of hosts, those that narrowed ones need among them. Returns how many; 0 when there are too many. */
static size_t hosts_first(struct weir_compilation *c, struct weir_draft *list)
{
	size_t n = 0;

	for (size_t i = 0; i < c->hosts; i++) {
		struct weir_draft *d = &c->host[i];

		if (weir_narrow_is(d) && (has_own(c, d->rule.match) || has(list, n, d->rule.match)))
			continue;
		if (n == WEIR_HOSTS_MAX)
			return 0;
		if (weir_narrow_is(d))
			make_host_rule(c, d, &list[n++]);
		else
			list[n++] = *d;
	}
	return n;
}

/* A narrowed rule joins those of its host, which begin at `first`. */
static void check_place(struct weir_compilation *c, const struct weir_draft *host, const struct weir_draft *d,
			const struct weir_draft *first, size_t count)
{
	if ((host->rule.flags & WEIR_RULE_EXEMPT) != 0)
		weir_finding_add(c, d->at, d->path, "it can never match: \"%s\" is exempt", host->rule.match);
	if (count == WEIR_NARROWED_MAX)
		weir_finding_add(c, d->at, d->path, "too many rules with a path or a method for \"%s\": at most %u",
				 host->rule.match, WEIR_NARROWED_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!covers(&first[i].rule.narrow, &d->rule.narrow))
			continue;
		weir_finding_add(c, d->at, d->path, "it can never match: %s (%s:%u) takes all of it before", first[i].path,
				 c->document[first[i].at.document - 1].path, first[i].at.line);
		return;
	}
}

void weir_narrow_arrange(struct weir_compilation *c)
{
	struct weir_draft *list = c->host ? calloc(WEIR_HOSTS_MAX, sizeof *list) : NULL;
	size_t hosts, n;

	if (!list) {
		c->out_of_memory = c->out_of_memory || c->host != NULL;
		return;
	}
	hosts = n = hosts_first(c, list);
	for (size_t h = 0; h < hosts; h++) {
		size_t first = n;

		for (size_t i = 0; i < c->hosts && n < WEIR_HOSTS_MAX; i++) {
			const struct weir_draft *d = &c->host[i];

			if (!weir_narrow_is(d) || strcmp(d->rule.match, list[h].rule.match) != 0)
				continue;
			check_place(c, &list[h], d, list + first, n - first);
			list[n++] = *d;
		}
		list[h].rule.narrow.first = n > first ? (uint32_t)first : 0;
		list[h].rule.narrow.count = (uint32_t)(n - first);
	}
	if (n < c->hosts)
		weir_finding_add(c, c->host[c->hosts - 1].at, c->host[c->hosts - 1].path,
				 "too many rules: at most %u, with one for each host that rules with a path or a method are for",
				 WEIR_HOSTS_MAX);
	free(c->host);
	c->host = list;
	c->hosts = n;
}
