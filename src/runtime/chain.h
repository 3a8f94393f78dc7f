/* SPDX-License-Identifier: MIT */
/* What tells one chain of configuration files from another. */
#ifndef WEIR_SRC_RUNTIME_CHAIN_H
#define WEIR_SRC_RUNTIME_CHAIN_H

#include <stdint.h>

#include "weir/runtime.h"

/* A number for the chain: of the path in WEIR_CONFIG, else of the paths that would be read, the user's by what his home directory
 * is to this process (device and inode) and not by its name. 0 = WEIR_CONFIG cannot be resolved. Looks at the home with stat. */
uint64_t weir_chain_hash(const struct weir_environment *e);

uint64_t weir_hash_text(const char *text);

#endif
