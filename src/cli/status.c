#include "src/cli/subcommand.h"
static int run(int c, char **v)
{
	(void)c;
	(void)v;
	return 1;
}
const struct weir_subcommand weir_subcommand_status = {.name = "status", .synopsis = "status", .summary = "", .run = run};
