/* SPDX-License-Identifier: MIT */
/* retry.on = [ "throttled", "connect" ]: lists of words, each of which is a bit, in the order of their bits. */
#include "src/policy/field.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {"throttled", "connect", "timeout", "server_error", NULL};
static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH", NULL};

static const char *const *words_of(enum weir_field_id id)
{
	return id == WEIR_FIELD_RETRY_ON ? kinds : methods;
}

bool weir_words_read(const struct weir_setting *s, enum weir_field_id id, uint64_t *bits)
{
	const char *const *words = words_of(id);
	char what[80];
	uint64_t all = 0, index;
	bool ok = true;

	snprintf(what, sizeof what, "a list of words such as [ \"%s\", \"%s\" ]", words[0], words[1]);
	if (!weir_setting_is_list(s))
		return weir_setting_expected(s, what, NULL);
	for (unsigned i = 0; i < weir_setting_children(s); i++) {
		struct weir_setting one = weir_setting_child(s, i);

		if (!weir_value_word(&one, words, &index))
			ok = false;
		else
			all |= UINT64_C(1) << index;
	}
	if (ok)
		*bits = all;
	return ok;
}

char *weir_words_print(uint64_t bits, enum weir_field_id id)
{
	const char *const *words = words_of(id);
	char text[160] = "[";
	size_t length = 1;

	for (size_t i = 0; words[i]; i++) {
		if (bits >> i & 1)
			length += (size_t)snprintf(text + length, sizeof text - length, "%s\"%s\"", length > 1 ? ", " : " ",
						   words[i]);
	}
	snprintf(text + length, sizeof text - length, " ]");
	return strdup(text);
}
