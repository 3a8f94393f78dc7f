/* SPDX-License-Identifier: MIT */
/* Paths in buffers of WEIR_PATH_MAX. */
#ifndef WEIR_SRC_RUNTIME_PATH_H
#define WEIR_SRC_RUNTIME_PATH_H

#include <stdbool.h>

#include "weir/runtime.h"

/* Whether an environment variable's value counts: neither absent nor empty. */
bool weir_path_given(const char *value);

/* out = a + b + c (each may be ""). False, and out empty, when that is too long. */
bool weir_path_join(char out[WEIR_PATH_MAX], const char *a, const char *b, const char *c);

#endif
