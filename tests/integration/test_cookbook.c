/* SPDX-License-Identifier: MIT */
/* docs/cookbook.md: each recipe that is marked so is taken from the page and run, with a server of this machine in the place of
 * api.example.org and this build in the place of what is installed. */
#include "weir_program.h"

#define INSTALLED "/usr/$LIB/weir/libweir.so"
#define API       "https://api.example.org"

static char *cookbook(void)
{
	char *text = read_file("docs/cookbook.md");

	if (!text) {
		print_message("    skipped: not run in the source tree\n");
		skip();
	}
	return text;
}

/* The block behind "<!-- KIND: NAME ... -->", to be freed; what the mark says it needs in `needs`. NULL: no such mark. */
static char *block(const char *text, const char *kind, const char *name, char needs[80])
{
	char mark[120];
	const char *at, *end, *begin;

	snprintf(mark, sizeof mark, "<!-- %s: %s ", kind, name);
	at = strstr(text, mark);
	if (!at)
		return NULL;
	end = strstr(at, "-->");
	assert_non_null(end);
	at += strlen(mark);
	snprintf(needs, 80, "%.*s", strncmp(at, "needs: ", 7) == 0 ? (int)(end - at - 7) : 0, at + 7);
	begin = strstr(end, "```");
	assert_non_null(begin);
	begin = strchr(begin, '\n') + 1;
	end = strstr(begin, "\n```");
	assert_non_null(end);
	return strndup(begin, (size_t)(end - begin + 1));
}

/* The text with each `from` replaced, to be freed; frees the old one. */
static char *replaced(char *text, const char *from, const char *to)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	const char *at = text, *found;

	assert_non_null(f);
	for (; (found = strstr(at, from)); at = found + strlen(from))
		fprintf(f, "%.*s%s", (int)(found - at), at, to);
	fputs(at, f);
	fclose(f);
	free(text);
	return out;
}

static bool have(const char *needs)
{
	char copy[80], *rest = NULL;

	snprintf(copy, sizeof copy, "%s", needs);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char line[120];
		struct command c = {.shell = line, .mode = COMMAND_BARE};
		struct outcome o;

		snprintf(line, sizeof line, "%s %s",
			 strcmp(word, "root") == 0 ? "test $(id -u) = 0 && command -v true #" : "command -v", word);
		o = command_run(&c);
		bool good = o.exit_status == 0;
		outcome_free(&o);
		if (!good) {
			print_message("    skipped: it needs %s\n", word);
			return false;
		}
	}
	return true;
}

/* Runs the recipe in the scene: it does well, its requests arrive, and weir knows the host. */
static void run_recipe(struct scene *scene, const char *name)
{
	char needs[80], path[1200], *page = cookbook(), *recipe = block(page, "run", name, needs),
				    *bin = make_dir(scene->dir, "bin"), *link = path_in(bin, "weir"), *weir = build_path("weir"),
				    *library = build_path("libweir.so");

	free(page);
	if (!recipe)
		fail_msg("there is no recipe %s in docs/cookbook.md", name);
	if (!have(needs))
		skip();
	struct quotad *server = quotad_start(scene->dir, NULL);
	char url[100], host[100];
	const char *env[] = {path, SANITIZERS, NULL};

	/* The server knows no other path than the root. */
	snprintf(url, sizeof url, "%s?", quotad_url(server, "/"));
	snprintf(host, sizeof host, "%.*s", (int)strcspn(url + 7, "/"), url + 7);
	recipe = replaced(replaced(recipe, API "/", url), INSTALLED, library);
	recipe = replaced(recipe, "\"api.example.org\"", "\"127.0.0.1\"");
	assert_int_equal(symlink(weir, link), 0);
	snprintf(path, sizeof path, "PATH=%s:%s", bin, getenv("PATH"));
	free(WEIR_EXPECT(scene, 3, "status")); /* starts the agent */
	struct command c = {.shell = recipe, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir, .cwd = scene->dir, .env = env};
	/* Some of them have a world of their own (a file, an environment without XDG_CONFIG_HOME): any will do. */
	char line[200];
	struct command look = {.shell = line, .mode = COMMAND_BESIDE_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);

	if (o.exit_status != 0)
		fail_msg("%s: exit status %d: %s%s\n%s", name, o.exit_status, o.out, o.err, recipe);
	outcome_free(&o);
	snprintf(line, sizeof line, "grep -q -a '%s' \"$WEIR_RUNTIME_DIR\"/state.1*", host);
	o = command_run(&look);
	if (o.exit_status != 0)
		fail_msg("%s: its requests did not come to weir:\n%s", name, recipe);
	outcome_free(&o);
	free(library);
	free(weir);
	free(link);
	free(bin);
	free(recipe);
}

#define RECIPE(function, name)                                                                                                   \
	static void function(void **state)                                                                                       \
	{                                                                                                                        \
		run_recipe(*state, name);                                                                                        \
	}

RECIPE(xargs_as_in_the_cookbook, "xargs")
RECIPE(parallel_as_in_the_cookbook, "parallel")
RECIPE(cron_as_in_the_cookbook, "cron")
RECIPE(env_i_as_in_the_cookbook, "env-i")
RECIPE(a_script_as_in_the_cookbook, "script")
RECIPE(a_ci_job_as_in_the_cookbook, "ci")
RECIPE(sudo_as_in_the_cookbook, "sudo")
RECIPE(python_as_in_the_cookbook, "python")
RECIPE(php_fpm_as_in_the_cookbook, "php-fpm")

static void no_recipe_is_left_out(void **state)
{
	char *page = cookbook();
	unsigned count = 0;

	(void)state;
	for (const char *at = strstr(page, "<!-- run: "); at; at = strstr(at + 1, "<!-- run: "))
		count++;
	assert_int_equal(count, 9);
	free(page);
}

static void the_unit_is_one_that_systemd_understands(void **state)
{
	struct scene *scene = *state;
	char needs[80], *page = cookbook(), *unit = block(page, "unit", "nightly.service", needs);
	struct command c = {.shell = "command -v systemd-analyze >/dev/null || exit 77; "
				     "systemd-analyze --man=no verify ./nightly.service 2>&1 | grep nightly.service || true",
			    .mode = COMMAND_BARE,
			    .cwd = scene->dir};
	struct outcome o;

	free(page);
	assert_non_null(unit);
	free(write_file(scene->dir, "nightly.service", unit));
	free(unit);
	o = command_run(&c);
	if (o.exit_status == 77) {
		outcome_free(&o);
		print_message("    skipped: systemd-analyze is not here\n");
		skip();
	}
	assert_string_equal(o.out, "");
	outcome_free(&o);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(xargs_as_in_the_cookbook),
		SCENE(parallel_as_in_the_cookbook),
		SCENE(cron_as_in_the_cookbook),
		SCENE(env_i_as_in_the_cookbook),
		SCENE(a_script_as_in_the_cookbook),
		SCENE(a_ci_job_as_in_the_cookbook),
		SCENE(sudo_as_in_the_cookbook),
		SCENE(python_as_in_the_cookbook),
		SCENE(php_fpm_as_in_the_cookbook),
		SCENE(no_recipe_is_left_out),
		SCENE(the_unit_is_one_that_systemd_understands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
