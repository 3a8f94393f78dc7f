/* SPDX-License-Identifier: MIT */
#include "src/policy/setting.h"

#include <stdio.h>
#include <string.h>

/* What a finding quotes of a value: enough to find it. */
#define QUOTED_MAX 60

struct weir_setting weir_setting_root(struct weir_compilation *c, uint32_t document)
{
	return (struct weir_setting){
		.c = c, .document = document, .setting = config_root_setting(&c->document[document - 1].config)};
}

struct weir_setting weir_setting_child(const struct weir_setting *parent, unsigned i)
{
	struct weir_setting s = {.c = parent->c, .document = parent->document};

	s.setting = config_setting_get_elem(parent->setting, i);
	const char *name = config_setting_name(s.setting);

	if (name)
		snprintf(s.path, sizeof s.path, "%.60s%s%.60s", parent->path, parent->path[0] ? "." : "", name);
	else
		snprintf(s.path, sizeof s.path, "%.60s[%u]", parent->path, i);
	return s;
}

bool weir_setting_member(const struct weir_setting *group, const char *name, struct weir_setting *out)
{
	for (unsigned i = 0; i < weir_setting_children(group); i++) {
		*out = weir_setting_child(group, i);
		if (strcmp(weir_setting_name(out), name) == 0)
			return true;
	}
	return false;
}

unsigned weir_setting_children(const struct weir_setting *s)
{
	int n = config_setting_length(s->setting);

	return n > 0 ? (unsigned)n : 0;
}

bool weir_setting_is_group(const struct weir_setting *s)
{
	return config_setting_is_group(s->setting);
}

bool weir_setting_is_list(const struct weir_setting *s)
{
	return config_setting_is_list(s->setting) || config_setting_is_array(s->setting);
}

const char *weir_setting_name(const struct weir_setting *s)
{
	return config_setting_name(s->setting);
}

struct weir_place weir_setting_place(const struct weir_setting *s)
{
	return (struct weir_place){.document = s->document, .line = s->setting->line};
}

/* The literal behind the offset that libconfig has; NULL when the setting is a truth value, a group or a list. */
static const char *literal(const struct weir_setting *s)
{
	const struct weir_document *d = &s->c->document[s->document - 1];
	int offset = config_setting_get_int(s->setting);

	if (config_setting_type(s->setting) != CONFIG_TYPE_INT || offset < 0 || (size_t)offset >= d->literal_bytes)
		return NULL;
	return d->literals + offset;
}

const char *weir_setting_text(const struct weir_setting *s)
{
	const char *l = literal(s);

	return l && l[0] == WEIR_LITERAL_STRING ? l + 1 : NULL;
}

const char *weir_setting_number(const struct weir_setting *s)
{
	const char *l = literal(s);

	return l && l[0] == WEIR_LITERAL_NUMBER ? l + 1 : NULL;
}

/* What was written, for a finding. */
static void describe(const struct weir_setting *s, char *out, size_t size)
{
	const char *l = literal(s);
	const char *quote = l && l[0] == WEIR_LITERAL_STRING ? "\"" : "";

	if (l)
		snprintf(out, size, "%s%.*s%s%s", quote, QUOTED_MAX, l + 1, quote, strlen(l + 1) > QUOTED_MAX ? "..." : "");
	else if (config_setting_type(s->setting) == CONFIG_TYPE_BOOL)
		snprintf(out, size, "%s", config_setting_get_bool(s->setting) ? "true" : "false");
	else if (weir_setting_is_group(s))
		snprintf(out, size, "a group { }");
	else
		snprintf(out, size, "a list");
}

bool weir_setting_expected(const struct weir_setting *s, const char *what, const char *why)
{
	char got[QUOTED_MAX + 8];

	describe(s, got, sizeof got);
	weir_finding_add(s->c, weir_setting_place(s), s->path, "expected %s, got %s%s%s%s", what, got, why ? " (" : "",
			 why ? why : "", why ? ")" : "");
	return false;
}

void weir_setting_unknown(const struct weir_setting *s, const char *const names[])
{
	const char *near = weir_suggestion(weir_setting_name(s), names);
	char all[400] = "";
	size_t length = 0;

	if (near) {
		weir_finding_add(s->c, weir_setting_place(s), s->path, "unknown key; did you mean \"%s\"?", near);
		return;
	}
	for (size_t i = 0; names[i] && length < sizeof all; i++)
		length += (size_t)snprintf(all + length, sizeof all - length, "%s%s", i > 0 ? ", " : "", names[i]);
	weir_finding_add(s->c, weir_setting_place(s), s->path, "unknown key; the keys here are %s", all);
}
