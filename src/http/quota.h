/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SRC_HTTP_QUOTA_H
#define WEIR_SRC_HTTP_QUOTA_H

#include "weir/http.h"

#include "src/http/until.h"

/* Reads the quotas that an answer describes; returns how many. */
uint32_t weir_quota_read(const struct weir_header_lines *h, const struct moment *now, struct weir_quota quota[WEIR_QUOTAS]);

#endif
