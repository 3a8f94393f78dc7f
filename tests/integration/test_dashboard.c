/* SPDX-License-Identifier: MIT */
/* The agent's page in headless Chromium: dashboard.py does it all. Skipped where there is no Chromium, as it is too large to ask
 * for. */
#include "weir_program.h"

static void the_page_lives_in_a_browser_and_lies_over_nothing(void **state)
{
	struct scene *scene = *state;
	char here[] = __FILE__, shell[2048];
	char *build = build_path("");
	if (system("command -v chromium >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1") != 0) {
		print_message("    skipped: there is no chromium\n");
		free(build);
		skip();
	}
	*strrchr(here, '/') = '\0';
	snprintf(shell, sizeof shell, "exec python3 '%s/dashboard.py' '%s' '%s'", here, build, scene->dir);
	struct command c = {.shell = shell, .mode = COMMAND_BARE, .limit_s = 115};
	c.dir = scene->dir;
	struct outcome o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("%s%s", o.out, o.err);
	outcome_free(&o);
	free(build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_page_lives_in_a_browser_and_lies_over_nothing, scene_setup, scene_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
