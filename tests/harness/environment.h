/* The environment a command is started with. */
#ifndef HARNESS_ENVIRONMENT_H
#define HARNESS_ENVIRONMENT_H

#include "tests/harness/command.h"

/* The absolute path of a file in the build directory ($WEIR_BUILD, default "build"), to be freed by
 * the caller. Fails the test when there is no such directory. */
char *build_path(const char *name);

/* The test's own environment without proxies, LD_PRELOAD and weir's variables, with LC_ALL=C and an
 * empty XDG_CONFIG_HOME, then what the command's mode asks for, then the command's own changes. */
char **environment_for(const struct command *c);
void environment_free(char **environment);

#endif
