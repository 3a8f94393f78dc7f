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

/* The string as libconfig has it: a text, or a number between marks. NULL when it is neither. */
static const char *raw(const struct weir_setting *s)
{
	if (config_setting_type(s->setting) != CONFIG_TYPE_STRING)
		return NULL;
	const char *text = config_setting_get_string(s->setting);

	return text ? text : "";
}

const char *weir_setting_text(const struct weir_setting *s)
{
	const char *text = raw(s);

	/* A mark inside: libconfig has joined a string and a number that stood side by side. */
	return text && !strchr(text, WEIR_NUMBER_MARK) ? text : NULL;
}

bool weir_setting_number(const struct weir_setting *s, char *out, size_t size)
{
	const char *text = raw(s);

	if (!text || text[0] != WEIR_NUMBER_MARK)
		return false;
	size_t length = strcspn(text + 1, "\001");

	if (text[length + 1] != WEIR_NUMBER_MARK || text[length + 2] != '\0')
		return false;
	snprintf(out, size, "%.*s", (int)(length < size ? length : size), text + 1);
	return true;
}

/* What was written, for a finding. */
static void describe(const struct weir_setting *s, char *out, size_t size)
{
	const char *text = raw(s);
	char number[QUOTED_MAX];

	if (weir_setting_number(s, number, sizeof number))
		snprintf(out, size, "%s%s", number, strlen(text) > sizeof number + 1 ? "..." : "");
	else if (text && strchr(text, WEIR_NUMBER_MARK))
		snprintf(out, size, "two values side by side");
	else if (text)
		snprintf(out, size, "\"%.*s\"%s", QUOTED_MAX, text, strlen(text) > QUOTED_MAX ? "..." : "");
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
