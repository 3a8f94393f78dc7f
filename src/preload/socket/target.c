/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/target.h"

#include <string.h>
#include <strings.h>

#define HTTPS_PORT 443

static bool copy(char *to, size_t size, const char *from, size_t n)
{
	if (n == 0 || n >= size)
		return false;
	memcpy(to, from, n);
	to[n] = '\0';
	return true;
}

/* "name", "name:port", "[v6]:port". *port stays where none is given. */
static bool split(char *text, const char **name, uint16_t *port)
{
	char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
	uint32_t number = 0;

	*name = text;
	if (!colon || (bracket && colon < bracket))
		return true;
	for (const char *c = colon + 1; *c != '\0'; c++) {
		if (*c < '0' || *c > '9' || number > 65535)
			return false;
		number = number * 10 + (uint32_t)(*c - '0');
	}
	if (number > 65535)
		return false;
	if (number != 0)
		*port = (uint16_t)number;
	*colon = '\0';
	return true;
}

static bool host_of(const char *from, size_t n, uint16_t port, bool its_port, char out[WEIR_HOST_PORT_MAX])
{
	char text[WEIR_HOST_PORT_MAX];
	const char *name;
	uint16_t said = port;

	return copy(text, sizeof text, from, n) && split(text, &name, &said) && weir_host_port(name, its_port ? said : port, out);
}

/* "http://host:port/path": the path is of no interest, and may be long. */
static bool absolute(const char *target, size_t n, char out[WEIR_HOST_PORT_MAX])
{
	char url[WEIR_HOST_PORT_MAX + 64];
	const char *slashes = memmem(target, n, "://", 3), *end;

	if (!slashes)
		return false;
	end = memchr(slashes + 3, '/', (size_t)(target + n - slashes - 3));
	return copy(url, sizeof url, target, end ? (size_t)(end - target) : n) && weir_url_host_port(url, out);
}

/* Whether it is written as the record has its host already, with its port or without: nearly every request of a connection.
 * Finding out what an address is called costs more than all the rest of a head. */
static bool is_as_before(const struct weir_record *r, const char *host, size_t n)
{
	size_t length = strnlen(r->host_port, sizeof r->host_port), name = length;
	uint32_t port = 0, place = 1;

	for (; name > 0 && r->host_port[name - 1] != ':' && place <= 10000; place *= 10)
		port += (uint32_t)(r->host_port[--name] - '0') * place;
	if (name == 0 || r->host_port[--name] != ':' || port != r->port)
		return false;
	return (n == length || n == name) && memcmp(r->host_port, host, n) == 0;
}

static bool from_head(const struct weir_record *r, const struct weir_wire_target *t, bool *connects, char out[WEIR_HOST_PORT_MAX])
{
	*connects = t->method_bytes == 7 && memcmp(t->method, "CONNECT", 7) == 0;
	if (*connects)
		return host_of(t->target, t->target_bytes, HTTPS_PORT, true, out);
	if (t->target_bytes > 0 && t->target[0] != '/' && absolute(t->target, t->target_bytes, out))
		return true;
	if (t->host && is_as_before(r, t->host, t->host_bytes)) {
		memcpy(out, r->host_port, sizeof r->host_port);
		return true;
	}
	return t->host && host_of(t->host, t->host_bytes, r->port, false, out);
}

__attribute__((noinline)) static bool from_hello(const struct weir_record *r, const void *bytes, size_t n,
						 char out[WEIR_HOST_PORT_MAX])
{
	struct weir_hello hello;

	return weir_hello_read(bytes, n, &hello) && hello.server_name[0] != '\0' &&
	       weir_host_port(hello.server_name, r->port, out);
}

static void find_host(const struct weir_record *r, enum weir_wire_kind kind, const struct weir_wire_target *target,
		      const void *bytes, size_t n, char host_port[WEIR_HOST_PORT_MAX], bool *connects)
{
	*connects = false;
	if ((kind == WEIR_WIRE_IS_HTTP && from_head(r, target, connects, host_port)) ||
	    (kind == WEIR_WIRE_IS_TLS && from_hello(r, bytes, n, host_port)))
		return;
	memcpy(host_port, r->host_port, sizeof r->host_port);
}

/* Of a longer target the rest is not looked at. */
#define TARGET_MAX 512

__attribute__((noinline)) static struct weir_whose whose_is(enum weir_wire_kind kind, const struct weir_wire_target *t,
							    const void *bytes, size_t n)
{
	struct weir_whose whose = {0};
	char target[TARGET_MAX];
	const char *lines;
	size_t some;

	whose.later = kind == WEIR_WIRE_IS_TLS ||
		      (kind == WEIR_WIRE_IS_HTTP && t->method_bytes == 7 && memcmp(t->method, "CONNECT", 7) == 0);
	if (kind != WEIR_WIRE_IS_HTTP || whose.later)
		return whose;
	some = t->target_bytes < TARGET_MAX ? t->target_bytes : TARGET_MAX - 1;
	memcpy(target, t->target, some);
	target[some] = '\0';
	/* What is cut off may be the rest of a secret. */
	if (some < t->target_bytes && strrchr(target, '&'))
		*strrchr(target, '&') = '\0';
	whose.path = weir_url_path(target);
	lines = memchr(t->target, '\n', n - (size_t)(t->target - (const char *)bytes));
	if (lines)
		whose.credential = weir_head_credential(lines + 1, n - (size_t)(lines + 1 - (const char *)bytes));
	whose.credential = weir_credential_and(whose.credential, weir_url_credential(target));
	if (whose.credential == 0 && t->whole)
		whose.credential = WEIR_NOBODY;
	return whose;
}

enum weir_wire_kind weir_target_look(struct weir_record *r, const void *bytes, size_t n, char host_port[WEIR_HOST_PORT_MAX])
{
	struct weir_wire_target target;
	enum weir_wire_kind kind = weir_wire_peek(bytes, n, &target);

	r->whose = whose_is(kind, &target, bytes, n);
	find_host(r, kind, &target, bytes, n, host_port, &r->connects);
	return kind;
}
