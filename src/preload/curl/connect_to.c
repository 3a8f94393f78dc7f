/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/connect_to.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Lines beyond are not looked at. */
#define LINES_MAX 256

struct part {
	const char *text;
	size_t length;
};

/* Up to the next colon, brackets as a whole and without them. Behind the colon, or the end, afterwards. */
static struct part next_part(const char **at)
{
	const char *closing = **at == '[' ? strchr(*at, ']') : NULL;
	struct part p = {closing ? *at + 1 : *at, closing ? (size_t)(closing - *at - 1) : strcspn(*at, ":")};

	*at = closing ? closing + 1 : *at + p.length;
	*at += strcspn(*at, ":");
	if (**at == ':')
		(*at)++;
	return p;
}

/* "host:port" as weir writes it, an address of version 6 without brackets too. */
static struct part split(const char *host_port, struct part *port)
{
	const char *colon = strrchr(host_port, ':');
	struct part host = {host_port, colon ? (size_t)(colon - host_port) : strlen(host_port)};

	*port = (struct part){colon ? colon + 1 : "", colon ? strlen(colon + 1) : 0};
	if (host.length >= 2 && host.text[0] == '[' && host.text[host.length - 1] == ']')
		host = (struct part){host.text + 1, host.length - 2};
	return host;
}

/* An empty one stands for all. */
static bool is_meant(struct part pattern, struct part what)
{
	return pattern.length == 0 || (pattern.length == what.length && strncasecmp(pattern.text, what.text, what.length) == 0);
}

static uint16_t number_of(struct part port)
{
	uint32_t n = 0;

	for (size_t i = 0; i < port.length && port.text[i] >= '0' && port.text[i] <= '9' && n < 65536; i++)
		n = n * 10 + (uint32_t)(port.text[i] - '0');
	return n < 65536 ? (uint16_t)n : 0;
}

__attribute__((noinline)) bool weir_connect_to(const struct curl_slist *list, const char *host_port, char out[WEIR_HOST_PORT_MAX])
{
	struct part port, host = split(host_port, &port);

	for (int i = 0; list && i < LINES_MAX; list = list->next, i++) {
		const char *at = list->data ? list->data : "";
		struct part of_host = next_part(&at), of_port = next_part(&at), to_host = next_part(&at),
			    to_port = next_part(&at);
		char name[WEIR_HOST_PORT_MAX], place[WEIR_HOST_PORT_MAX];

		if (!is_meant(of_host, host) || !is_meant(of_port, port))
			continue;
		if (to_host.length == 0)
			to_host = host;
		if (to_port.length == 0)
			to_port = port;
		if (to_host.length >= sizeof name)
			return false;
		memcpy(name, to_host.text, to_host.length);
		name[to_host.length] = '\0';
		if (!weir_host_port(name, number_of(to_port), place) || strcmp(place, host_port) == 0)
			return false;
		memcpy(out, place, strlen(place) + 1);
		return true;
	}
	return false;
}
