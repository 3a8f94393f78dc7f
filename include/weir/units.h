/* SPDX-License-Identifier: MIT */
/* Quantities as people write them: "250ms", "1.5s", "10m", "5/s", "100/6h", "0.1/s". One parser and one printer for config, flags
 * and output. */
#ifndef WEIR_UNITS_H
#define WEIR_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parses a duration: a decimal number and one of ns us ms s m h d, or several of these from long to short ("2h5m", so that what
 * is printed can be read back); a bare "0" needs no unit. Returns NULL and sets *ns, or what is wrong (static text). At most
 * 366 d. */
const char *weir_parse_duration(const char *text, uint64_t *ns);

/* Parses a rate: NUMBER "/" [NUMBER] UNIT, unit as above without ns; the result is in nano-admissions per second, rounded down,
 * and greater than 0. Returns NULL or what is wrong. If burst_window is not NULL it gets the window's length in ns ("100/6h": 6
 * h). */
const char *weir_parse_rate(const char *text, uint64_t *nano_per_s, uint64_t *burst_window_ns);

/* Parses a non-negative decimal integer up to max. Returns NULL or what is wrong. */
const char *weir_parse_count(const char *text, uint64_t max, uint64_t *out);

/* Prints a duration with a unit that reads well: "12.3s", "250ms", "2h5m", rounded to three digits or two units. Returns out.
 * size >= 32. */
char *weir_print_duration(uint64_t ns, char *out, size_t size);

/* Prints a rate: "5/s", "1.4/s", "100/h". 0 prints as "none". A rate that is a whole number per second, minute, hour or day, or
 * has at most three decimals per second, is printed exactly; others with three digits. Returns out. size >= 32. */
char *weir_print_rate(uint64_t nano_per_s, char *out, size_t size);

/* A rate that was learned and not written by anybody, for people: from 1/s on rounded to three digits, so that one that is whole
 * per day by chance (7.03125/s) is not printed as 607500/d. */
uint64_t weir_round_rate(uint64_t nano_per_s);

#endif
