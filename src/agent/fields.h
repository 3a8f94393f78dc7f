/* SPDX-License-Identifier: MIT */
/* Named values: of a query, of a posted form, of a posted JSON object. */
#ifndef WEIR_AGENT_FIELDS_H
#define WEIR_AGENT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#define WEIR_FIELDS_MAX 16

struct weir_fields {
	struct {
		char *name, *value;
	} field[WEIR_FIELDS_MAX];
	size_t count;
};

/* Decodes %XX in place. Returns false when it is malformed or makes a NUL. */
bool weir_percent_decode(char *text);

/* Adds "a=b&c=d", percent-encoded, '+' for a space. Returns NULL or what is wrong. */
const char *weir_fields_form(struct weir_fields *f, const char *text);

/* Adds the members of a JSON object: strings as they are, numbers and booleans as text; null is left out. Returns NULL or what is
 * wrong. */
const char *weir_fields_json(struct weir_fields *f, const char *text, size_t length);

/* The value of a name; NULL when it is not there. */
const char *weir_fields_get(const struct weir_fields *f, const char *name);

/* A name that is not in `known` (NULL at its end); NULL when all are. */
const char *weir_fields_unknown(const struct weir_fields *f, const char *const *known);

void weir_fields_free(struct weir_fields *f);

#endif
