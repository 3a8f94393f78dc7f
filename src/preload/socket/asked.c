/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/asked.h"

#include <string.h>

#include "weir/http.h"
#include "weir/wire.h"

__attribute__((noinline)) static void see(const void *bytes, size_t n, struct weir_asks *asks)
{
	struct weir_wire_target t;

	if (weir_wire_peek(bytes, n, &t) != WEIR_WIRE_IS_HTTP || (t.method_bytes == 7 && memcmp(t.method, "CONNECT", 7) == 0))
		return;
	asks->method = weir_method_bit(t.method, t.method_bytes);
	asks->path = weir_url_path_text(t.target, t.target_bytes, &asks->path_bytes);
}

struct weir_asks weir_head_asks(const struct weir_gate *g, const void *bytes, size_t n)
{
	struct weir_asks asks = {NULL, 0, 0};

	if (weir_gate_narrows(g))
		see(bytes, n, &asks);
	return asks;
}
