/* A scene: the place where one test happens. */
#ifndef HARNESS_SCENE_H
#define HARNESS_SCENE_H

/* Where the commands of a scene keep weir's state and what outlives it, and the configuration directory that stays empty unless
 * scene_configure fills it. */
#define RUNTIME_DIR      "runtime"
#define EMPTY_CONFIG_DIR "no-config"
#define STATE_HOME_DIR   "state-home"

struct scene {
	char *dir;     /* temporary, removed at the end */
	char *runtime; /* dir/runtime: WEIR_RUNTIME_DIR of its commands */
};

/* Fixtures for cmocka: *state is the scene. The end of a scene, also after a failure, kills the
 * commands that still run, stops every quotad and the agent, and removes the directory. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* Makes `text` the configuration of the scene's commands: weir/weir.conf under EMPTY_CONFIG_DIR. */
void scene_configure(const struct scene *scene, const char *text);

#endif
