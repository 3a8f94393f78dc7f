/* SPDX-License-Identifier: MIT */
#include "src/agent/host_name.h"

#include <string.h>

#include "src/stats/snapshot.h"
#include "src/stats/spelling.h"
#include "weir/http.h"
#include "weir/log.h"

static bool is_printable(const char *text)
{
	while ((unsigned char)*text > 0x20 && (unsigned char)*text < 0x7f)
		text++;
	return *text == '\0';
}

static bool append(char out[WEIR_KEY_MAX], const char *text)
{
	size_t n = strlen(out), length = strlen(text);
	if (n + length >= WEIR_KEY_MAX)
		return false;
	memcpy(out + n, text, length + 1);
	return true;
}

const char *weir_host_name(const char *text, char out[WEIR_KEY_MAX])
{
	out[0] = '\0';
	if (strstr(text, "://"))
		return weir_url_host_port(text, out) ? NULL : "no host in this URL";
	size_t n = 0;
	if (text[0] == '@')
		return "a host's name does not begin with '@'";
	const char *narrowed = text + strcspn(text, "#");
	if (!is_printable(narrowed))
		return "a narrowed rule's name has no spaces";
	for (const char *c = text; c < narrowed; c++) {
		if (*c == '[' || *c == ']')
			continue;
		if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '/' || *c == '"')
			return "a host's name has no spaces, slashes or quotes";
		if (n + 1 >= WEIR_KEY_MAX)
			return "the name is too long";
		out[n++] = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
	}
	out[n] = '\0';
	char ascii[WEIR_KEY_MAX];
	if (weir_idna(out, n, ascii, sizeof ascii))
		memcpy(out, ascii, sizeof ascii);
	if (!append(out, narrowed))
		return "the name is too long";
	if (!weir_unspell(out))
		return "a backslash in a host's name begins \\xHH, a byte";
	return n > 0 ? NULL : "the name is empty";
}

enum weir_host_found weir_host_find(const struct weir_segment *s, const char *name, char key[2 * WEIR_KEY_MAX + 2])
{
	char candidate[WEIR_KEY_MAX];
	uint32_t slot = weir_entry_find(s, name);
	if (slot <= s->entries) {
		weir_format(key, WEIR_KEY_MAX, "%s", name);
		return WEIR_HOST_FOUND;
	}
	key[0] = '\0';
	for (slot = 0; slot < s->entries; slot++) {
		if (!weir_entry_key(s, slot, candidate) || candidate[0] == '@' || strchr(candidate, '#') ||
		    !weir_key_is(candidate, name))
			continue;
		if (key[0]) {
			size_t n = strlen(key);
			weir_format(key + n, 2 * WEIR_KEY_MAX + 2 - n, ", %s", candidate);
			return WEIR_HOST_SEVERAL;
		}
		weir_format(key, WEIR_KEY_MAX, "%s", candidate);
	}
	return key[0] ? WEIR_HOST_FOUND : WEIR_HOST_UNKNOWN;
}
