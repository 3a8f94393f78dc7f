/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SRC_HTTP_DATE_H
#define WEIR_SRC_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

/* A date as RFC 3339 and ISO 8601 write it: "2026-11-22T04:13:00.5Z", with a blank for the T, a zone in hours and minutes or none
 * (UTC), with or without seconds. In seconds since 1970 and what is left of the next one. */
bool weir_iso_date(const char *text, int64_t *seconds, uint32_t *nanos);

#endif
