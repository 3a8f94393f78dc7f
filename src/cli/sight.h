/* SPDX-License-Identifier: MIT */
/* Whether the library would see anything of a command, told from its file. */
#ifndef WEIR_CLI_SIGHT_H
#define WEIR_CLI_SIGHT_H

#include "weir/elf.h"
#include "weir/runtime.h"

enum weir_sight {
	WEIR_SIGHT_SEEN,
	WEIR_SIGHT_UNSEEN, /* the library does no harm and sees nothing of this program; perhaps of the ones that it starts */
	WEIR_SIGHT_UNFIT,  /* the library must not be preloaded */
	WEIR_SIGHT_ABSENT, /* there is no such command, or nothing that can be executed: errno */
};

/* Looks the command up as execvp would. *x is filled, *why is static text for unseen and unfit, `path` the program's file (""
 * when not known). Blocks for the disk. */
enum weir_sight weir_sight_of(const char *command, struct weir_executable *x, char path[WEIR_PATH_MAX], const char **why);

#endif
