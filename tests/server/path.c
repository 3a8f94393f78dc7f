#include "tests/server/path.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/clock.h"
#include "tests/server/number.h"

#define MAX_BODY_BYTES   (INT64_C(1) << 30)
#define MAX_DELAY_MS     600000
#define BODY_BLOCK_BYTES 65536
#define ECHO_HEADERS_MAX 128

static void fail(struct path *p, int status, const char *reason)
{
	p->status = status;
	p->delay_ns = 0;
	p->body_bytes = 0;
	p->location[0] = '\0';
	snprintf(p->text, sizeof p->text, "%s\n", reason);
}

static void read_root(struct path *p, const char *rest, uint16_t https_port)
{
	(void)rest;
	(void)https_port;
	strcpy(p->text, "ok\n");
}

static void read_status(struct path *p, const char *rest, uint16_t https_port)
{
	int64_t status;

	(void)https_port;
	if (!number_parse_whole(rest, 200, 599, &status)) {
		fail(p, 400, "/status/NNN: 200 to 599");
		return;
	}
	p->status = (int)status;
	if (status != 204 && status != 304)
		snprintf(p->text, sizeof p->text, "status %d\n", p->status);
}

static void read_bytes(struct path *p, const char *rest, uint16_t https_port)
{
	int64_t bytes;

	(void)https_port;
	if (!number_parse_whole(rest, 0, MAX_BODY_BYTES, &bytes))
		fail(p, 400, "/bytes/N: 0 to 1073741824");
	else
		p->body_bytes = (uint64_t)bytes;
}

static void read_delay(struct path *p, const char *rest, uint16_t https_port)
{
	int64_t ms;

	(void)https_port;
	if (!number_parse_whole(rest, 0, MAX_DELAY_MS, &ms)) {
		fail(p, 400, "/delay/MS: 0 to 600000");
		return;
	}
	p->delay_ns = ms * NS_PER_MS;
	strcpy(p->text, "ok\n");
}

static void read_n(struct path *p, const char *rest, uint16_t https_port)
{
	(void)https_port;
	snprintf(p->text, sizeof p->text, "%s\n", rest);
}

static void read_redirect(struct path *p, const char *rest, uint16_t https_port)
{
	char digits[8];
	const char *slash = strchr(rest, '/');
	size_t length = slash == NULL ? strlen(rest) : (size_t)(slash - rest);
	int64_t port;

	(void)https_port;
	snprintf(digits, sizeof digits, "%.*s", length < sizeof digits ? (int)length : 0, rest);
	if (!number_parse_whole(digits, 1, 65535, &port)) {
		fail(p, 400, "/redirect/PORT/REST: a port from 1 to 65535");
		return;
	}
	p->status = 302;
	snprintf(p->location, sizeof p->location, "http://127.0.0.1:%d%.900s", (int)port, slash == NULL ? "/" : slash);
	strcpy(p->text, "redirect\n");
}

static void read_redirect_https(struct path *p, const char *rest, uint16_t https_port)
{
	if (https_port == 0) {
		fail(p, 400, "/redirect-https: quotad runs without --tls");
		return;
	}
	p->status = 302;
	snprintf(p->location, sizeof p->location, "https://127.0.0.1:%d/%.900s", https_port, rest);
	strcpy(p->text, "redirect\n");
}

struct header_list {
	size_t count;
	char *line[ECHO_HEADERS_MAX];
	bool failed;
};

static enum MHD_Result collect(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_list *list = data;

	(void)kind;
	if (list->count == ECHO_HEADERS_MAX)
		return MHD_NO;
	if (asprintf(&list->line[list->count], "%s: %s\n", name, value == NULL ? "" : value) < 0) {
		list->failed = true;
		return MHD_NO;
	}
	list->count++;
	return MHD_YES;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int render_echo(struct MHD_Connection *connection, const char *method, char **text)
{
	struct header_list list = {0};
	size_t length = 0;
	FILE *out;

	MHD_get_connection_values(connection, MHD_HEADER_KIND, collect, &list);
	qsort(list.line, list.count, sizeof list.line[0], compare_lines);
	*text = NULL;
	out = open_memstream(text, &length);
	if (out != NULL) {
		fprintf(out, "%s\n", method);
		for (size_t i = 0; i < list.count; i++)
			fputs(list.line[i], out);
		if (fclose(out) != 0)
			list.failed = true;
	}
	for (size_t i = 0; i < list.count; i++)
		free(list.line[i]);
	if (out == NULL || list.failed) {
		free(*text);
		return -1;
	}
	return 0;
}

static void read_echo(struct path *p, const char *rest, uint16_t https_port)
{
	(void)rest;
	(void)https_port;
	p->render = render_echo;
}

static const struct {
	const char *prefix;
	bool whole; /* nothing may follow */
	void (*read)(struct path *, const char *rest, uint16_t https_port);
} table[] = {
	{"/", true, read_root},
	{"/echo", true, read_echo},
	{"/redirect-https", true, read_redirect_https},
	{"/redirect-https/", false, read_redirect_https},
	{"/status/", false, read_status},
	{"/bytes/", false, read_bytes},
	{"/delay/", false, read_delay},
	{"/n/", false, read_n},
	{"/redirect/", false, read_redirect},
};

void path_read(const char *url, uint16_t https_port, struct path *out)
{
	memset(out, 0, offsetof(struct path, text));
	out->text[0] = '\0';
	out->location[0] = '\0';
	out->render = NULL;
	out->status = 200;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		size_t length = strlen(table[i].prefix);

		if (table[i].whole ? strcmp(url, table[i].prefix) == 0 : strncmp(url, table[i].prefix, length) == 0) {
			table[i].read(out, url + length, https_port);
			return;
		}
	}
	fail(out, 404, "not found");
}

/* The alphabet over and over, a newline for every 64th byte. */
static ssize_t generate(void *data, uint64_t position, char *buffer, size_t size)
{
	(void)data;
	for (size_t i = 0; i < size; i++) {
		uint64_t at = position + i;

		buffer[i] = at % 64 == 63 ? '\n' : (char)('a' + at % 26);
	}
	return (ssize_t)size;
}

struct MHD_Response *path_response(const struct path *path, struct MHD_Connection *connection, const char *method)
{
	struct MHD_Response *response;

	if (path->body_bytes > 0) {
		response = MHD_create_response_from_callback(path->body_bytes, BODY_BLOCK_BYTES, generate, NULL, NULL);
	} else if (path->render != NULL) {
		char *text;

		if (path->render(connection, method, &text) != 0)
			return NULL;
		response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
		if (response == NULL)
			free(text);
	} else {
		char *text = (char *)(uintptr_t)path->text; /* MHD copies it: const in all but name */

		response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	}
	if (response != NULL && path->location[0] != '\0' &&
	    MHD_add_response_header(response, "Location", path->location) != MHD_YES) {
		MHD_destroy_response(response);
		return NULL;
	}
	return response;
}
