#include "tests/harness/scene.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/agent.h"
#include "tests/harness/command.h"
#include "tests/harness/environment.h"
#include "tests/harness/file.h"
#include "tests/harness/quotad.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/wait.h"

#define AGENT_STARTS_WITHIN_S 20

int scene_setup(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	if (scene == NULL)
		return -1;
	scene->dir = temp_dir_create();
	scene->runtime = make_dir(scene->dir, RUNTIME_DIR);
	*state = scene;
	return 0;
}

int scene_teardown(void **state)
{
	struct scene *scene = *state;
	bool ended_well;

	command_kill_all();
	ended_well = quotad_stop_all();
	ended_well &= end_agent(scene->runtime);
	free(scene->runtime);
	temp_dir_remove(scene->dir);
	free(scene);
	return ended_well ? 0 : -1;
}

void scene_write_configuration(const struct scene *scene, const char *text)
{
	char *config = make_dir(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");

	free(write_file(dir, "weir.conf", text));
	free(dir);
	free(config);
}

static bool is_in_force(void *data)
{
	struct outcome o = command_run(data);
	bool is = o.exit_status == 0 && strstr(o.out, "\"sources\":[\"") != NULL;

	outcome_free(&o);
	return is;
}

void scene_put_in_force(const struct scene *scene, const char *config)
{
	char *weir = build_path("weir");
	const char *argv[] = {weir, "stats", "--json", NULL};
	struct command c = {.argv = argv, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .config = config};

	assert_soon(is_in_force, &c, AGENT_STARTS_WITHIN_S, "the configuration is in force");
	free(weir);
}

void scene_configure(const struct scene *scene, const char *text)
{
	scene_write_configuration(scene, text);
	scene_put_in_force(scene, NULL);
}

char *scene_rules_file(const struct scene *scene, const char *text)
{
	char *file = write_file(scene->dir, "weir.conf", text);

	scene_put_in_force(scene, file);
	return file;
}
