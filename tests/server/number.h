/* Strict reading of numbers, durations and rates, as options give them. */
#ifndef QUOTAD_NUMBER_H
#define QUOTAD_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The whole of `text` as a finite decimal number in [low, high]. False leaves `out` as it was. */
bool number_parse(const char *text, double low, double high, double *out);

/* The same for a whole number. */
bool number_parse_whole(const char *text, int64_t low, int64_t high, int64_t *out);

/* "10/s", "60/h", "100/6h", "600/60s", "5/500ms": `count` per `period_ns`. Both must be > 0. */
bool number_parse_rate(const char *text, double *count, int64_t *period_ns);

#endif
