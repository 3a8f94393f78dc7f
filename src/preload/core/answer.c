/* SPDX-License-Identifier: MIT */
#include "src/preload/core/answer.h"

#include <string.h>

__attribute__((noinline)) void weir_answer_read(const struct weir_gate *g, const struct weir_request *r, int status,
						const struct weir_header_lines *lines, struct weir_result *result)
{
	struct weir_said said;
	uint64_t held_ns;

	weir_said_read(lines, weir_wall_ns(), &said);
	held_ns = weir_said_hold(&said, &result->hold_cause);
	result->status = status > 0 ? (uint32_t)status : 0;
	result->outcome = weir_gate_classify(g, r, status, said.has_wait || held_ns != 0);
	result->quotas = said.quotas;
	result->resource = said.resource;
	result->named = said.named;
	memcpy(result->quota, said.quota, sizeof result->quota);
	/* What is broken may say when it will not be; the quota beside it is another matter. */
	if (result->outcome == WEIR_THROTTLED)
		result->retry_after_ns = held_ns;
	else if (result->outcome == WEIR_FAILED)
		result->retry_after_ns = said.wait_ns;
}
