#include "tests/harness/scene.h"

#include <stdbool.h>
#include <stdlib.h>

#include "tests/harness/agent.h"
#include "tests/harness/command.h"
#include "tests/harness/file.h"
#include "tests/harness/quotad.h"
#include "tests/harness/temp_dir.h"

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

void scene_configure(const struct scene *scene, const char *text)
{
	char *config = make_dir(scene->dir, EMPTY_CONFIG_DIR), *dir = make_dir(config, "weir");

	free(write_file(dir, "weir.conf", text));
	free(dir);
	free(config);
}
