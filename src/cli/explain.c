#include "src/cli/subcommand.h"
static int run(int c, char **v)
{
	(void)c;
	(void)v;
	return 1;
}
const struct weir_subcommand weir_subcommand_explain = {.name = "explain", .synopsis = "explain", .summary = "", .run = run};
