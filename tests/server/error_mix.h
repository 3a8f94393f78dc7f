/* A random share of error answers among the accepted requests. */
#ifndef QUOTAD_ERROR_MIX_H
#define QUOTAD_ERROR_MIX_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/server/random.h"

#define ERROR_MIX_MAX 8

struct error_mix {
	size_t count;
	struct {
		int status;
		double share; /* of all accepted requests */
	} part[ERROR_MIX_MAX];
};

/* "503:0.3,500:0.01": statuses 400–599, shares that add up to 1 at most. False leaves `out` as it was. */
bool error_mix_parse(const char *text, struct error_mix *out);

/* The status of an error to answer with, or 0 for none. Draws once when there is a mix. */
int error_mix_draw(const struct error_mix *mix, struct random *random);

#endif
