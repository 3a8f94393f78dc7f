/* SPDX-License-Identifier: MIT */
/*
 * Which hosts a rule is for: NAME, NAME:PORT, [V6], [V6]:PORT, with * and ? in names and * for the port. What comes out has the
 * form of the keys that it is compared with: lower case, international names in ASCII, "host:port", no brackets.
 */
#include "src/policy/field.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "weir/http.h"
#include "weir/units.h"

#define NAME_MAX_BYTES 253 /* RFC 1035, 2.3.4: 255 octets on the wire */

static bool is_international(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80)
		text++;
	return *text != '\0';
}

static bool is_glob(const char *text)
{
	return strpbrk(text, "*?") != NULL;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* An international name (or glob) becomes what its key is. A wildcard stands for characters of that, not of the name as people
 * write it, so that it has a label to itself or to ASCII. Returns NULL or what is wrong. */
static const char *as_ascii(const char *name, char out[WEIR_MATCH_MAX])
{
	for (const char *label = name; *label != '\0';) {
		size_t n = strcspn(label, ".");
		bool wild = false, international = false;

		for (size_t i = 0; i < n; i++) {
			wild |= label[i] == '*' || label[i] == '?';
			international |= (unsigned char)label[i] >= 0x80;
		}
		if (wild && international)
			return "a wildcard stands beside letters that are not ASCII: write the label as xn--...";
		label += n + (label[n] == '.');
	}
	return weir_idna(name, strlen(name), out, WEIR_MATCH_MAX) ? NULL : "it is no UTF-8, or too long for a host";
}

/* Letters, digits, '-', '_' and '.', globs; no empty label. */
static const char *check_name(const char *name)
{
	if (name[0] == '\0')
		return "the name is empty";
	if (name[0] == '.')
		return "it begins with a dot: *.example.org is every name under example.org";
	if (strlen(name) > NAME_MAX_BYTES)
		return "the name is longer than 253 characters";
	for (const char *p = name; *p != '\0'; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("-_.*?", *p);

		if (*p == '[' || *p == ']' || *p == '{' || *p == '!')
			return "the only wildcards are * and ?";
		if (!plain)
			return "it holds a character that no host name has";
		if (p[0] == '.' && (p[1] == '.' || p[1] == '\0'))
			return p[1] == '.' ? "it holds an empty label" : "it ends in a dot";
		if (p[0] == '*' && p[1] == '*')
			return "** is no wildcard: * matches dots as well";
	}
	return NULL;
}

/* An IPv6 address in the form in which addresses are printed everywhere, so that 0:0::1 and ::1 are the same. */
static const char *check_v6(char *name, size_t size)
{
	struct in6_addr address;

	if (is_glob(name))
		return name[strspn(name, "0123456789abcdef:*?")] == '\0' ? NULL : "no IPv6 address stands between the brackets";
	if (inet_pton(AF_INET6, name, &address) != 1)
		return "no IPv6 address stands between the brackets";
	inet_ntop(AF_INET6, &address, name, (socklen_t)size);
	return NULL;
}

/* Cuts text into name and port (NULL when there is none). Returns NULL or what is wrong. */
static const char *split(char *text, char **name, char **port)
{
	char *end;

	*name = text;
	*port = NULL;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end)
			return "the bracket is not closed";
		*name = text + 1;
		*end++ = '\0';
		if (*end != '\0' && *end != ':')
			return "only :PORT may follow the bracket";
	} else {
		if (strstr(text, "://") || strchr(text, '/'))
			return "expected a host name, not a URL";
		end = strchr(text, ':');
		if (end && strchr(end + 1, ':'))
			return "an IPv6 address stands in brackets: [::1]:8080";
	}
	if (end && *end == ':') {
		*end = '\0';
		*port = end + 1;
	}
	return NULL;
}

const char *weir_match_read(const char *text, char match[WEIR_MATCH_MAX], uint32_t *flags)
{
	char copy[WEIR_MATCH_MAX + INET6_ADDRSTRLEN] = "", ascii[WEIR_MATCH_MAX], *name, *port;
	uint64_t number = 0;
	const char *wrong;
	size_t n = strlen(text);
	bool brackets;

	if (n == 0)
		return "it is empty";
	if (n >= WEIR_MATCH_MAX)
		return "the name is longer than 253 characters";
	for (size_t i = 0; i <= n; i++)
		copy[i] = lower(text[i]);
	wrong = split(copy, &name, &port);
	brackets = !wrong && name != copy;
	if (!wrong && !brackets && is_international(name)) {
		wrong = as_ascii(name, ascii);
		name = ascii;
	}
	if (!wrong && !brackets)
		wrong = check_name(name);
	if (wrong)
		return wrong;
	if (port && strcmp(port, "*") == 0)
		port = NULL;
	if (port && (weir_parse_count(port, 65535, &number) || number == 0))
		return "the port is none of 1 to 65535, or *";
	/* The canonical form may be longer than what was written, and run over the port: that is a number by now. */
	wrong = brackets ? check_v6(name, sizeof copy - 1) : NULL;
	if (wrong)
		return wrong;
	*flags = (is_glob(name) ? WEIR_RULE_GLOB : 0U) | (port ? 0U : WEIR_RULE_ANY_PORT);
	memset(match, 0, WEIR_MATCH_MAX);
	if (port)
		snprintf(match, WEIR_MATCH_MAX, "%.253s:%u", name, (unsigned)number);
	else
		snprintf(match, WEIR_MATCH_MAX, "%.253s", name);
	return NULL;
}

const char *weir_group_read(const char *text, char group[WEIR_GROUP_MAX])
{
	size_t n = strlen(text);

	if (n == 0)
		return "it is empty";
	if (n >= WEIR_GROUP_MAX)
		return "it is longer than 63 characters";
	memset(group, 0, WEIR_GROUP_MAX);
	for (size_t i = 0; i < n; i++) {
		char c = lower(text[i]);
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		/* No ':' as in host:port, and none of the '_' and '@' that weir's own entries begin with. */
		if (!word && (i == 0 || !strchr("-_.", c)))
			return "letters, digits, and inside - _ . are allowed";
		group[i] = c;
	}
	return NULL;
}
