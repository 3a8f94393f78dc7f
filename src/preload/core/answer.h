/* SPDX-License-Identifier: MIT */
/* What an answer says of its host, whoever has its header lines: libcurl or the socket. */
#ifndef WEIR_CORE_ANSWER_H
#define WEIR_CORE_ANSWER_H

#include "weir/gate.h"
#include "weir/http.h"

/* Reads status and lines under the rule of the request: fills in outcome, status, quotas and the hold that is asked for. */
void weir_answer_read(const struct weir_gate *g, const struct weir_request *r, int status, const struct weir_header_lines *lines,
		      struct weir_result *result);

#endif
