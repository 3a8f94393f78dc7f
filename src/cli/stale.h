/* SPDX-License-Identifier: MIT */
/* Places outside of weir that preload a libweir.so which is not there any more. */
#ifndef WEIR_CLI_STALE_H
#define WEIR_CLI_STALE_H

#include "weir/runtime.h"

/* Calls `each` for every line of the machine's and the user's profiles, unit files, crontabs and of /etc/ld.so.preload that names
 * a libweir.so which does not exist. Only looks; what cannot be read is passed over. */
void weir_stale_list(const struct weir_environment *e, void (*each)(const char *file, unsigned line, const char *library));

#endif
