/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SRC_HTTP_NUMBER_H
#define WEIR_SRC_HTTP_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)

/* What no server means: a wait or a window longer than this (366 days), more requests than this in one window. */
#define ABSURD_NS    (UINT64_C(366) * 86400 * NS_PER_S)
#define ABSURD_COUNT UINT64_C(1000000000000)

/* A non-negative decimal number as headers write it: "12", "12.5". No sign, no exponent. */
struct number {
	uint64_t whole; /* UINT64_MAX: too large to tell */
	uint32_t nanos; /* the fraction, rounded up */
};

/* Reads a number at *p and moves *p behind it. False, and *p where it was, when there is none. */
bool weir_http_number(const char **p, struct number *out);

/* The number in nanoseconds when it counts units of unit_ns; UINT64_MAX when that is absurd (more than ABSURD_NS). unit_ns <= a
 * day. */
uint64_t weir_http_number_ns(struct number n, uint64_t unit_ns);

#endif
