/* SPDX-License-Identifier: MIT */
/* What durations, rates and counts are made of: decimal numbers, units of time, and text put together in a given buffer. Integers
 * throughout: "0.1/s" means the same on every machine and in every rounding mode. */
#ifndef WEIR_UNITS_NUMBER_H
#define WEIR_UNITS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_SECOND_NS UINT64_C(1000000000)
#define WEIR_DAY_NS    (UINT64_C(86400) * WEIR_SECOND_NS)

/* digits / scale, scale a power of ten: "1.25" is 125 / 100. */
struct weir_decimal {
	uint64_t digits;
	uint64_t scale;
};

/* Reads a non-negative decimal number at *p and moves *p behind it. Returns NULL or what is wrong. */
const char *weir_read_decimal(const char **p, struct weir_decimal *out);

/* Reads a unit of time (ns us ms s m h d) at *p, which must not go on with a letter. Returns NULL or what is wrong. */
const char *weir_read_unit(const char **p, uint64_t *ns);

/* Text under construction; what does not fit is cut, and it always ends in NUL. */
struct weir_text {
	char *out;
	size_t size, length;
};

struct weir_text weir_text_begin(char *out, size_t size);
void weir_text_add(struct weir_text *t, const char *s);
void weir_text_number(struct weir_text *t, uint64_t n);

/* value / unit with three significant digits, all digits before the point, and no trailing zeros: 1.25, 12.3, 250, 12345. */
void weir_text_three_digits(struct weir_text *t, uint64_t value, uint64_t unit);

#endif
