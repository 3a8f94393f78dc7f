/* SPDX-License-Identifier: MIT */
/* From now until a moment that a server names. Both: nanoseconds, 0 when it is past, UINT64_MAX when it is absurd or not
 * understood. `date` is the Date header of the same answer or NULL. */
#ifndef WEIR_SRC_HTTP_UNTIL_H
#define WEIR_SRC_HTTP_UNTIL_H

#include <stdint.h>

/* Until `seconds` since 1970. */
uint64_t weir_http_until(int64_t seconds, const char *date, uint64_t wall_ns);

/* Until the reset of a quota: seconds from now (decimals and units allowed), seconds or milliseconds since 1970, or an HTTP-date.
 */
uint64_t weir_http_until_reset(const char *text, const char *date, uint64_t wall_ns);

/* A length of time with or without unit: "1s", "60", "5m", "1 hour". Without: seconds. */
uint64_t weir_http_interval(const char *text);

#endif
