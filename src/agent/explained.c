/* SPDX-License-Identifier: MIT */
#include "src/agent/explained.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "weir/log.h"
#include "weir/units.h"

static const char no_host[] = "no host in this URL", no_port[] = "the port is none: it is a number from 1 to 65535";

/* RFC 9110 5.6.2: a token. */
static bool is_token(const char *text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (const char *c = text; *c; c++) {
		bool word = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');

		if (!word && !strchr(others, *c))
			return false;
	}
	return text[0] != '\0';
}

static size_t scheme_length(const char *url)
{
	const char *end = strstr(url, "://");

	return end && end < url + strcspn(url, "/?#[@") ? (size_t)(end - url) : 0;
}

/* Whether what stands behind a host's colon is a port, or nothing. */
static bool is_port(const char *text, size_t n)
{
	uint64_t port;
	char digits[8];

	if (n == 0)
		return true;
	if (n >= sizeof digits)
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	return !weir_parse_count(digits, UINT16_MAX, &port) && port > 0;
}

/* Of a URL that names no host, or none that it can be: why. */
static const char *wrong_with(const char *url)
{
	size_t scheme = scheme_length(url), n;
	const char *host = url + (scheme ? scheme + 3 : 0), *at, *colon, *close;

	if (url[strspn(url, " \t\r\n")] == '\0')
		return "the URL is empty";
	for (const char *c = url; *c; c++)
		if ((unsigned char)*c <= 0x20 || *c == 0x7f)
			return "a URL has no blanks and no control characters: they are written %XX";
	if (strncasecmp(url, "file:", 5) == 0)
		return "a file: URL asks no host for anything";
	n = strcspn(host, "/?#");
	at = memrchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	if (n == 0)
		return no_host;
	close = memrchr(host, ']', n);
	if (host[0] == '[' && !close)
		return "an IPv6 address in a URL ends in ']'";
	colon = memrchr(host, ':', n);
	if (colon && (!close || colon > close) && !is_port(colon + 1, (size_t)(host + n - colon - 1)))
		return no_port;
	if (n >= WEIR_HOST_PORT_MAX - 6)
		return "the name is too long";
	return no_host;
}

static enum weir_wire wire_of(const char *url)
{
	size_t scheme = scheme_length(url);

	if (scheme == 5 && strncasecmp(url, "https", 5) == 0)
		return WEIR_WIRE_TLS;
	return weir_url_is_http(url) ? WEIR_WIRE_CLEAR : WEIR_WIRE_UNKNOWN;
}

static const char *read_url(const char *url, struct weir_explained *out)
{
	size_t n = strlen(url), path_bytes;
	const char *path;

	if (!weir_url_host_port(url, out->host_port) || wrong_with(url) != no_host)
		return wrong_with(url);
	if (weir_port_of(out->host_port) == 0)
		return "the scheme's port is not known: write it behind the host, as in foo://api.example.org:8443/";
	out->about.wire = wire_of(url);
	path = weir_url_path_text(url, n, &path_bytes);
	weir_format(out->path, sizeof out->path, "%.*s", (int)(path_bytes < WEIR_PATH_SEEN_MAX ? path_bytes : WEIR_PATH_SEEN_MAX),
		    path);
	out->about.path = out->path;
	return NULL;
}

/* As status names it: an address of IPv6 has no brackets there, and the port is what stands behind its last colon. */
static bool is_known(const struct weir_segment *s, const char *host, struct weir_explained *out)
{
	if (host[0] == '@' || strchr(host, '#') || strlen(host) >= sizeof out->host_port || weir_port_of(host) == 0 ||
	    weir_entry_find(s, host) >= s->entries)
		return false;
	weir_format(out->host_port, sizeof out->host_port, "%s", host);
	out->about.wire = weir_port_of(host) == 443 ? WEIR_WIRE_TLS : WEIR_WIRE_UNKNOWN;
	return true;
}

static const char *read_host(const char *host, struct weir_explained *out)
{
	const char *colon = strrchr(host, ':');
	bool has_port = colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon[1] &&
			(strchr(host, ':') == colon || colon[-1] == ']');
	uint64_t port = 443;
	char name[WEIR_KEY_MAX];

	if (strlen(host) >= sizeof name)
		return "the name is too long";
	if (!has_port && strchr(host, ':') == colon && wrong_with(host) == no_port)
		return no_port;
	memcpy(name, host, strlen(host) + 1);
	if (has_port) {
		if (weir_parse_count(colon + 1, UINT16_MAX, &port) || port == 0)
			return no_port;
		name[colon - host] = '\0';
	}
	out->about.wire = port == 443 ? WEIR_WIRE_TLS : WEIR_WIRE_UNKNOWN;
	return weir_host_port(name, (uint16_t)port, out->host_port) ? NULL : "this is no host";
}

static const char *read_method(const char *method, struct weir_explained *out)
{
	if (method && (strlen(method) >= sizeof out->method || !is_token(method)))
		return "method: expected a word such as GET or POST";
	if (!method && !out->about.path)
		return NULL;
	weir_format(out->method, sizeof out->method, "%s", method ? method : "GET");
	out->about.method = out->method;
	return NULL;
}

/* Spelled as the library does (core/environment.c). */
static void read_client(const char *client, struct weir_explained *out)
{
	size_t n = 0;

	for (; client && client[n] && n < sizeof out->client - 1; n++) {
		char c = client[n];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';

		out->client[n] = word ? c : '_';
	}
	out->client[n] = '\0';
	out->about.client = n > 0 ? out->client : NULL;
}

const char *weir_explained_read(const struct weir_segment *s, const struct weir_fields *query, struct weir_explained *out)
{
	static const char *const known[] = {"url", "host", "method", "client", NULL};
	const char *url = weir_fields_get(query, "url"), *host = weir_fields_get(query, "host"), *why;

	memset(out, 0, sizeof *out);
	if (weir_fields_unknown(query, known) || !url == !host)
		return "expected url=URL or host=HOST:PORT, and beside it method=METHOD and client=NAME";
	if (host && host[0] != '@' && !strpbrk(host, ".:#") && weir_entry_find(s, host) < s->entries)
		return "this is the name of a group: ask for one of its hosts";
	why = url ? read_url(url, out) : is_known(s, host, out) ? NULL : read_host(host, out);
	if (!why)
		why = read_method(weir_fields_get(query, "method"), out);
	if (why)
		return why;
	read_client(weir_fields_get(query, "client"), out);
	out->about.host_port = out->host_port;
	return NULL;
}
