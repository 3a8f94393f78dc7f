/* SPDX-License-Identifier: MIT */
/*
 * What reading HTTP off a connection costs: a request and its answer as a program has them, head and a body of 300 bytes, in one
 * piece each, with a sink that looks at every line. Bound: 150 ns for both together.
 */
#include <stdio.h>
#include <string.h>

#include "samples.h"
#include "weir/wire.h"

#define BATCHES 201
#define BATCH   5000
#define BOUND   150

static const char request[] = "GET /v1/items/1234?page=2 HTTP/1.1\r\nHost: api.example.org\r\nUser-Agent: example/1.0\r\n"
			      "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n";
static char answer[] = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 04:13:00 GMT\r\nContent-Type: application/json\r\n"
		       "Content-Length: 300\r\nConnection: keep-alive\r\nServer: example\r\n\r\n";

static void look(void *of, const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
	size_t *sum = of;

	(void)name;
	(void)value;
	*sum += name_bytes + value_bytes;
}

static uint64_t exchanges(const char *whole, size_t n)
{
	static struct weir_wire w;
	size_t sum = 0;
	const struct weir_wire_sink sink = {look, &sum};
	uint64_t begun = clock_ns();

	for (int i = 0; i < BATCH; i++) {
		enum weir_wire_event event;
		size_t used = weir_wire_sent(&w, request, sizeof request - 1, &sink, &event);

		if (event != WEIR_WIRE_REQUEST || used != sizeof request - 1)
			exit(2);
		used = weir_wire_received(&w, whole, n, &sink, &event);
		if (event != WEIR_WIRE_ANSWER)
			exit(2);
		weir_wire_received(&w, whole + used, n - used, &sink, &event);
		if (event != WEIR_WIRE_END)
			exit(2);
	}
	return (clock_ns() - begun) / BATCH;
}

int main(void)
{
	static uint64_t ns[BATCHES];
	static char whole[sizeof answer + 300];
	uint64_t middle;

	memcpy(whole, answer, sizeof answer - 1);
	memset(whole + sizeof answer - 1, 'x', 300);
	for (int i = 0; i < BATCHES; i++)
		ns[i] = exchanges(whole, sizeof answer - 1 + 300);
	middle = median(ns, BATCHES);
	printf("an exchange on the wire: %llu ns (bound %d)\n", (unsigned long long)middle, BOUND);
	return middle <= BOUND ? 0 : 1;
}
