/* SPDX-License-Identifier: MIT */
/*
 * Where a URL points, read as libcurl reads it (lib/urlapi.c of 7.88 with CURLU_GUESS_SCHEME), because libcurl is who connects.
 * That is not what RFC 3986 or the WHATWG say: one to three slashes may follow the scheme, the first '@' ends the user, a host
 * may be percent-encoded. Deliberate differences: blanks around the URL are skipped (wget does), port 0 is refused, and a dot at
 * the end of the host is dropped.
 */
#include "weir/http.h"

#include <string.h>

#include "src/http/ascii.h"
#include "src/http/host.h"

#define SCHEME_MAX 40 /* libcurl's */

struct scheme {
	const char *name;
	uint16_t port;
	const char *guess; /* what a host without a scheme begins with, to be taken for this one */
};

static const struct scheme schemes[] = {
	{"http", 80, NULL},      {"https", 443, NULL},   {"ftp", 21, "ftp."},  {"ftps", 990, NULL},    {"ws", 80, NULL},
	{"wss", 443, NULL},      {"sftp", 22, NULL},     {"scp", 22, NULL},    {"telnet", 23, NULL},   {"smtp", 25, "smtp."},
	{"smtps", 465, NULL},    {"tftp", 69, NULL},     {"gopher", 70, NULL}, {"gophers", 70, NULL},  {"pop3", 110, "pop3."},
	{"pop3s", 995, NULL},    {"imap", 143, "imap."}, {"imaps", 993, NULL}, {"ldap", 389, "ldap."}, {"ldaps", 636, NULL},
	{"smb", 445, NULL},      {"smbs", 445, NULL},    {"rtsp", 554, NULL},  {"mqtt", 1883, NULL},   {"rtmp", 1935, NULL},
	{"dict", 2628, "dict."},
};

#define SCHEMES (sizeof schemes / sizeof schemes[0])
#define HTTP    0 /* their places in the table */
#define HTTPS   1

/* The length of the scheme's name; 0 when there is none. As curl guesses, "host:8080" and "data:" are a host with a port, while a
 * redirect (`strict`) can mean the scheme alone. */
static size_t scheme_length(const char *url, bool strict)
{
	size_t i = 0;

	while (i < SCHEME_MAX && (ascii_letter(url[i]) || ascii_digit(url[i]) || (url[i] != '\0' && strchr("+-.", url[i]))))
		i++;
	return i > 0 && url[i] == ':' && (strict || url[i + 1] == '/') ? i : 0;
}

static const struct scheme *find_scheme(const char *name, size_t length)
{
	for (size_t i = 0; i < SCHEMES; i++) {
		if (ascii_same(name, length, schemes[i].name))
			return &schemes[i];
	}
	return NULL;
}

static const struct scheme *guess_scheme(const char *host, size_t length)
{
	for (size_t i = 0; i < SCHEMES; i++) {
		const char *guess = schemes[i].guess;

		if (guess && length >= strlen(guess) && ascii_same(host, strlen(guess), guess))
			return &schemes[i];
	}
	return &schemes[HTTP];
}

/* Reads all of text as a port. 0: not one. */
static uint16_t read_port(const char *text, size_t length)
{
	uint32_t port = 0;

	for (size_t i = 0; i < length; i++) {
		if (!ascii_digit(text[i]))
			return 0;
		port = port * 10 + (uint32_t)(text[i] - '0');
		if (port > UINT16_MAX)
			return 0;
	}
	return (uint16_t)port;
}

uint16_t weir_port_of(const char *host_port)
{
	const char *colon = strrchr(host_port, ':');

	return colon ? read_port(colon + 1, strlen(colon + 1)) : 0;
}

/* Percent-decodes a host into out. Returns its length, 0 when it is too long or has an encoded control character. */
static size_t decode(const char *host, size_t length, char out[WEIR_HOST_PORT_MAX])
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		char c = host[i];

		if (c == '%' && length - i > 2 && ascii_hex(host[i + 1]) >= 0 && ascii_hex(host[i + 2]) >= 0) {
			c = (char)(ascii_hex(host[i + 1]) * 16 + ascii_hex(host[i + 2]));
			i += 2;
		}
		if ((unsigned char)c < 0x20 || used >= WEIR_HOST_PORT_MAX - 1)
			return 0;
		out[used++] = c;
	}
	return used;
}

struct authority {
	const char *host; /* not terminated */
	size_t length;
	bool has_port;
	uint16_t port;
};

/* Takes "user:password@host:port" apart. */
static bool split_authority(const char *text, size_t length, bool has_scheme, struct authority *a)
{
	const char *at = memchr(text, '@', length);
	const char *end = text + length;
	const char *colon;

	a->host = at ? at + 1 : text;
	colon = a->host;
	if (a->host < end && a->host[0] == '[') {
		colon = memchr(a->host, ']', (size_t)(end - a->host));
		if (!colon)
			return false;
		colon++;
	}
	while (colon < end && *colon != ':' && a->host[0] != '[')
		colon++;
	a->length = (size_t)(colon - a->host);
	a->has_port = colon + 1 < end;
	a->port = 0;
	if (colon == end)
		return true;
	if (*colon != ':')
		return false;
	/* Browsers and libcurl take a bare colon for no port; but without a scheme it may be one that went wrong. */
	if (!a->has_port)
		return has_scheme;
	a->port = read_port(colon + 1, (size_t)(end - colon - 1));
	return a->port != 0;
}

/* "user:password@host:port", `length` characters, to "host:port". scheme NULL: to be guessed from the host. */
static bool read_authority(const char *text, size_t length, const struct scheme *scheme, char out[WEIR_HOST_PORT_MAX])
{
	struct authority a;
	char host[WEIR_HOST_PORT_MAX];
	bool bracketed;

	if (!split_authority(text, length, scheme != NULL, &a) || a.length == 0)
		return false;
	bracketed = a.host[0] == '[';
	if (!bracketed) {
		a.length = decode(a.host, a.length, host);
		a.host = host;
		if (a.length == 0 || memchr(host, ':', a.length))
			return false;
	}
	if (!scheme)
		scheme = guess_scheme(a.host, a.length);
	return weir_host_port_part(a.host, a.length, a.has_port ? a.port : scheme->port, out);
}

/* The authority's length: up to path, query or fragment, and without blanks at the very end. */
static size_t authority_length(const char *text)
{
	size_t length = strcspn(text, "/?#");

	if (text[length] == '\0') {
		while (length > 0 && ascii_blank(text[length - 1]))
			length--;
	}
	return length;
}

bool weir_url_host_port(const char *url, char out[WEIR_HOST_PORT_MAX])
{
	static const struct scheme unknown = {"", 0, NULL};
	const struct scheme *scheme;
	size_t name, slashes;

	out[0] = '\0';
	url = ascii_skip_blanks(url);
	name = scheme_length(url, false);
	if (name == 0)
		return read_authority(url, authority_length(url), NULL, out);
	if (ascii_same(url, name, "file"))
		return false;
	scheme = find_scheme(url, name);
	url += name + 1;
	slashes = strspn(url, "/");
	if (slashes > 3)
		return false;
	url += slashes;
	return read_authority(url, authority_length(url), scheme ? scheme : &unknown, out);
}

bool weir_url_is_http(const char *url)
{
	size_t name;
	char host_port[WEIR_HOST_PORT_MAX];

	url = ascii_skip_blanks(url);
	name = scheme_length(url, false);
	if (name > 0)
		return ascii_same(url, name, "http") || ascii_same(url, name, "https");
	return weir_url_host_port(url, host_port) && guess_scheme(host_port, strlen(host_port)) == &schemes[HTTP];
}

bool weir_location_host_port(const char *location, const char *base_host_port, char out[WEIR_HOST_PORT_MAX])
{
	size_t length = strnlen(base_host_port, WEIR_HOST_PORT_MAX);
	bool https = length >= 4 && length < WEIR_HOST_PORT_MAX && memcmp(base_host_port + length - 4, ":443", 4) == 0;

	out[0] = '\0';
	location = ascii_skip_blanks(location);
	if (scheme_length(location, true) > 0)
		return weir_url_host_port(location, out);
	if (location[0] == '/' && location[1] == '/')
		return read_authority(location + 2, authority_length(location + 2), &schemes[https ? HTTPS : HTTP], out);
	if (length == 0 || length >= WEIR_HOST_PORT_MAX)
		return false;
	memcpy(out, base_host_port, length + 1);
	return true;
}

const char *weir_url_path_text(const char *url, size_t bytes, size_t *path_bytes)
{
	const char *end = url + bytes, *path = url, *stop;
	size_t authority = 0;

	if (bytes == 0 || url[0] != '/') {
		const char *scheme = memmem(url, bytes, "://", 3);

		path = scheme ? scheme + 3 : url;
		while (path + authority < end && !memchr("/?#", path[authority], 3))
			authority++;
		path += authority;
	}
	for (stop = path; stop < end && *stop != '?' && *stop != '#';)
		stop++;
	*path_bytes = (size_t)(stop - path);
	if (*path_bytes > 0 && *path == '/')
		return path;
	*path_bytes = 1;
	return "/";
}
