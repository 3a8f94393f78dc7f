/* SPDX-License-Identifier: MIT */
/* Putting libweir.so before a command. */
#ifndef WEIR_CLI_LIBRARY_H
#define WEIR_CLI_LIBRARY_H

#include <stdbool.h>

#include "weir/runtime.h"

/* Finds libweir.so: beside this program, in ../lib/weir, in the configured directory. Returns NULL or what is wrong:
 * it is not there, and *out is empty, or others may have put there what is (weir_path_trusted). */
const char *weir_library_find(char out[WEIR_PATH_MAX]);

/* Prepends it to LD_PRELOAD of this process's environment, unless it is there already. Returns NULL or what is wrong. */
const char *weir_library_preload(const char *library);

/* Takes it out of LD_PRELOAD again, and the variable away when nothing else is in it. */
void weir_library_withdraw(const char *library);

/* The version that the library's file says it has; false when it says nothing, as one of before there was this mark. */
bool weir_library_version(const char *library, char out[32]);

#endif
