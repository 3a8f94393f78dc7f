/* SPDX-License-Identifier: MIT */
#include "src/agent/fields.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool weir_percent_decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);
		if (low < 0 || high * 16 + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

/* Takes both texts over. */
static const char *add(struct weir_fields *f, char *name, char *value)
{
	const char *why = NULL;
	if (!name || !value)
		why = "out of memory";
	else if (f->count == WEIR_FIELDS_MAX)
		why = "too many fields";
	else if (weir_fields_get(f, name))
		why = "a field is given twice";
	if (why) {
		free(name);
		free(value);
		return why;
	}
	f->field[f->count].name = name;
	f->field[f->count].value = value;
	f->count++;
	return NULL;
}

static void plus_to_space(char *text)
{
	for (; *text; text++)
		if (*text == '+')
			*text = ' ';
}

static const char *add_pair(struct weir_fields *f, const char *pair, size_t length)
{
	const char *equals = memchr(pair, '=', length);
	size_t name_length = equals ? (size_t)(equals - pair) : length;
	char *name = strndup(pair, name_length);
	char *value = equals ? strndup(equals + 1, length - name_length - 1) : strdup("");
	if (name && value) {
		plus_to_space(name);
		plus_to_space(value);
		if (!weir_percent_decode(name) || !weir_percent_decode(value)) {
			free(name);
			free(value);
			return "malformed percent-encoding";
		}
	}
	return add(f, name, value);
}

const char *weir_fields_form(struct weir_fields *f, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "&");
		const char *why = length ? add_pair(f, text, length) : NULL;
		if (why)
			return why;
		text += length;
		text += *text == '&';
	}
	return NULL;
}

static const char *add_member(struct weir_fields *f, const char *name, const json_t *value)
{
	char text[32];
	switch (json_typeof(value)) {
	case JSON_NULL:
		return NULL;
	case JSON_STRING:
		return add(f, strdup(name), strdup(json_string_value(value)));
	case JSON_INTEGER:
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return add(f, strdup(name), strdup(text));
	case JSON_TRUE:
		return add(f, strdup(name), strdup("1"));
	case JSON_FALSE:
		return add(f, strdup(name), strdup("0"));
	default:
		return "expected texts, whole numbers and booleans as values";
	}
}

const char *weir_fields_json(struct weir_fields *f, const char *text, size_t length)
{
	json_error_t error;
	json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(object)) {
		json_decref(object);
		return "expected a JSON object";
	}
	const char *why = NULL, *name;
	json_t *value;
	json_object_foreach(object, name, value)
	{
		why = add_member(f, name, value);
		if (why)
			break;
	}
	json_decref(object);
	return why;
}

const char *weir_fields_get(const struct weir_fields *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->field[i].name, name) == 0)
			return f->field[i].value;
	return NULL;
}

const char *weir_fields_unknown(const struct weir_fields *f, const char *const *known)
{
	for (size_t i = 0; i < f->count; i++) {
		size_t k = 0;
		while (known[k] && strcmp(known[k], f->field[i].name) != 0)
			k++;
		if (!known[k])
			return f->field[i].name;
	}
	return NULL;
}

void weir_fields_free(struct weir_fields *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->field[i].name);
		free(f->field[i].value);
	}
	f->count = 0;
}
