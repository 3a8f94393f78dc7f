/* SPDX-License-Identifier: MIT */
/* The one form in which a host is written as a key: lower case, international labels in ASCII, no brackets, no dot at the end,
 * IPv4 with four decimal numbers, IPv6 as RFC 5952 writes it. */
#include "src/http/host.h"

#include <arpa/inet.h>
#include <string.h>

#include "weir/log.h"

#include "src/http/ascii.h"

/* Characters that no host has; the list is libcurl's (lib/urlapi.c, hostname_check). Bytes from 0x80 up may be IDNA. */
static bool impossible(char c)
{
	return (unsigned char)c <= 0x20 || c == 0x7f || strchr("/:#?!@{}[]\\$'\"^`*<>=;,+&()", c) != NULL;
}

/* An IPv4 address in any form that inet_aton takes (127.1, 0x7f.1, 2130706433), as libcurl and the resolver do, to the one form
 * in which connect() sees it. Other names stay. */
static void as_dotted_quad(char host[WEIR_HOST_PORT_MAX])
{
	struct in_addr binary;

	if (inet_aton(host, &binary))
		inet_ntop(AF_INET, &binary, host, WEIR_HOST_PORT_MAX);
}

/* A name that is not ASCII, to the form in which resolvers and servers know it. What has none stays as it is. */
__attribute__((noinline)) static void as_ascii(char host[WEIR_HOST_PORT_MAX])
{
	char ascii[WEIR_HOST_PORT_MAX];

	if (weir_idna(host, strlen(host), ascii, sizeof ascii))
		memcpy(host, ascii, sizeof ascii);
}

static bool put_name(const char *name, size_t length, char out[WEIR_HOST_PORT_MAX])
{
	bool international = false;

	/* "example.org." asks the same host as "example.org". */
	if (length > 0 && name[length - 1] == '.')
		length--;
	if (length == 0 || length >= WEIR_HOST_PORT_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (impossible(name[i]))
			return false;
		out[i] = ascii_lower(name[i]);
		international |= (unsigned char)name[i] >= 0x80;
	}
	out[length] = '\0';
	if (international)
		as_ascii(out);
	if (ascii_digit(out[0]))
		as_dotted_quad(out);
	return true;
}

/* The zone ("%eth0", in URLs "%25eth0") goes: connect() speaks of interfaces by number and the two would never be the same key.
 */
static bool put_ipv6(const char *address, size_t length, char out[WEIR_HOST_PORT_MAX])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr binary;
	const char *zone = memchr(address, '%', length);
	size_t bare = zone ? (size_t)(zone - address) : length;

	if (bare >= sizeof text || (zone && bare + 1 == length))
		return false;
	memcpy(text, address, bare);
	text[bare] = '\0';
	if (inet_pton(AF_INET6, text, &binary) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&binary))
		return inet_ntop(AF_INET, &binary.s6_addr[12], out, WEIR_HOST_PORT_MAX) != NULL;
	return inet_ntop(AF_INET6, &binary, out, WEIR_HOST_PORT_MAX) != NULL;
}

bool weir_host_port_part(const char *host, size_t length, uint16_t port, char out[WEIR_HOST_PORT_MAX])
{
	char digits[sizeof ":65535"];
	size_t used;
	bool good;

	if (length >= 2 && host[0] == '[' && host[length - 1] == ']')
		good = put_ipv6(host + 1, length - 2, out);
	else if (length > 0 && memchr(host, ':', length))
		good = put_ipv6(host, length, out);
	else
		good = put_name(host, length, out);
	if (good) {
		used = strlen(out);
		length = weir_format(digits, sizeof digits, ":%u", (unsigned)port);
		good = used + length < WEIR_HOST_PORT_MAX;
		if (good)
			memcpy(out + used, digits, length + 1);
	}
	if (!good)
		out[0] = '\0';
	return good;
}

bool weir_host_port(const char *host, uint16_t port, char out[WEIR_HOST_PORT_MAX])
{
	/* A longer host would not fit anyway; strnlen keeps the scan short. */
	return weir_host_port_part(host, strnlen(host, (size_t)WEIR_HOST_PORT_MAX * 4), port, out);
}
