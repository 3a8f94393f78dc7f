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

/* Makes `text` the configuration of the scene's commands, weir/weir.conf under EMPTY_CONFIG_DIR, and puts it in force. */
void scene_configure(const struct scene *scene, const char *text);

/* Only writes it: for tests of the start, and of texts that are refused. */
void scene_write_configuration(const struct scene *scene, const char *text);

/* A file of its own with these rules, for struct command's `config`, put in force. The caller frees the name. */
char *scene_rules_file(const struct scene *scene, const char *text);

/* Starts the agent and waits until what it has compiled comes from files; `config` as in struct command, NULL is the scene's own
 * configuration. A program's first request waits for that 250 ms at most and then goes unlimited, which on a busy machine is too
 * short for an agent that starts. */
void scene_put_in_force(const struct scene *scene, const char *config);

#endif
