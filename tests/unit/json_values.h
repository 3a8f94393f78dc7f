/* SPDX-License-Identifier: MIT */
/* Values of a JSON object, whose absence fails the test. */
#ifndef WEIR_JSON_VALUES_H
#define WEIR_JSON_VALUES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

static inline json_int_t integer(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);
	if (!json_is_integer(v))
		fail_msg("%s is no integer", name);
	return json_integer_value(v);
}

static inline double real(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);
	if (!json_is_number(v))
		fail_msg("%s is no number", name);
	return json_number_value(v);
}

static inline const char *string(const json_t *o, const char *name)
{
	const char *v = json_string_value(json_object_get(o, name));
	if (!v)
		fail_msg("%s is no text", name);
	return v;
}

#endif
