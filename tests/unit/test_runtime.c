/* SPDX-License-Identifier: MIT */
/* Where things are. The starting of the agent has its own file, test_runtime_spawn.c. */
#include "weir/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A user without a directory in /run/user. */
#define NOBODYS_UID      4294967293U
#define NOBODYS_UID_TEXT "4294967293"

static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/weir-test-runtime-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return 0;
}

static int remove_directory(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	return system(command);
}

/* directory + "/" + name, in one of 32 static buffers. */
static const char *inside(const char *name)
{
	static char paths[32][256];
	static unsigned next;
	char *path = paths[next++ % 32];

	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

static void make_program(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void the_runtime_directory_is_the_first_that_is_given(void **state)
{
	struct weir_environment e = {.runtime_dir = "/a", .xdg_runtime_dir = directory, .uid = geteuid()};
	struct weir_world w;

	(void)state;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/a");
	e.runtime_dir = "";
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, inside("weir"));
	e.xdg_runtime_dir = NULL;
	e.uid = NOBODYS_UID;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/tmp/weir-" NOBODYS_UID_TEXT);
	e.uid = 0;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/run/weir");
	e.uid = 4294967294U;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/tmp/weir-4294967294");
}

/* sudo -E: what root would make in there locks its owner out. */
static void an_xdg_directory_that_is_not_the_users_own_is_passed_over(void **state)
{
	struct weir_environment e = {.xdg_runtime_dir = directory, .uid = geteuid() == 0 ? NOBODYS_UID : 0};
	const char *expected = geteuid() == 0 ? "/tmp/weir-" NOBODYS_UID_TEXT : "/run/weir";
	struct weir_world w;

	(void)state;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, expected);
	e.uid = NOBODYS_UID;
	e.xdg_runtime_dir = inside("absent");
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/tmp/weir-" NOBODYS_UID_TEXT);
	make_program(inside("file"), 0600);
	e.uid = geteuid();
	e.xdg_runtime_dir = inside("file");
	assert_null(weir_world_of(&e, &w));
	assert_string_not_equal(w.dir, inside("file/weir"));
}

/* Of cron and the login. Only root can make a directory in /run/user; the user of it is nobody, one per process. */
static void without_xdg_the_directory_of_the_login_is_found(void **state)
{
	struct weir_environment e = {.uid = 1000000000U + (uid_t)getpid()};
	char login[64], in_login[80], in_tmp[64];
	bool made_parent = mkdir("/run/user", 0755) == 0;
	struct weir_world w[4];

	(void)state;
	snprintf(login, sizeof login, "/run/user/%u", (unsigned)e.uid);
	snprintf(in_login, sizeof in_login, "%s/weir", login);
	snprintf(in_tmp, sizeof in_tmp, "/tmp/weir-%u", (unsigned)e.uid);
	if (geteuid() != 0 || mkdir(login, 0700) != 0) {
		print_message("    skipped: no directory can be made in /run/user\n");
		skip();
	}
	assert_null(weir_world_of(&e, &w[0])); /* root's */
	assert_int_equal(chown(login, e.uid, (gid_t)-1), 0);
	assert_null(weir_world_of(&e, &w[1]));
	assert_int_equal(chmod(login, 0755), 0);
	assert_null(weir_world_of(&e, &w[2]));
	rmdir(login);
	assert_null(weir_world_of(&e, &w[3]));
	if (made_parent)
		rmdir("/run/user");
	assert_string_equal(w[0].dir, in_tmp);
	assert_string_equal(w[1].dir, in_login);
	assert_string_equal(w[2].dir, in_tmp);
	assert_string_equal(w[3].dir, in_tmp);
}

static void the_files_stand_in_the_runtime_directory(void **state)
{
	const struct weir_environment e = {.runtime_dir = "/a//b/./c/", .uid = 7};
	struct weir_world w;

	(void)state;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/a/b/c");
	assert_string_equal(w.segment, "/a/b/c/state.1");
	assert_string_equal(w.socket, "/a/b/c/weir.sock");
	assert_string_equal(w.lock, "/a/b/c/agent.lock");
	assert_string_equal(w.pid, "/a/b/c/agent.pid");
	assert_string_equal(w.config, "");
}

static void another_configuration_is_another_world(void **state)
{
	const struct weir_environment e = {.runtime_dir = "/a", .config = "/a", .uid = 7};
	struct weir_world w;

	(void)state;
	assert_null(weir_world_of(&e, &w));
	/* FNV-1a 64 of "/a", by an independent implementation. */
	assert_string_equal(w.segment, "/a/state.1.07d66707b49cd92d");
	assert_string_equal(w.socket, "/a/weir.sock.07d66707b49cd92d");
	assert_string_equal(w.lock, "/a/agent.lock.07d66707b49cd92d");
	assert_string_equal(w.pid, "/a/agent.pid.07d66707b49cd92d");
	assert_string_equal(w.config, "/a");
}

static void a_configuration_has_one_world_however_its_path_is_written(void **state)
{
	struct weir_environment e = {.runtime_dir = "/a", .uid = 7};
	struct weir_world absolute, relative;
	int here = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(chdir(directory), 0);
	e.config = inside("my.conf");
	assert_null(weir_world_of(&e, &absolute));
	e.config = ".//my.conf";
	assert_null(weir_world_of(&e, &relative));
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_string_equal(relative.config, inside("my.conf"));
	assert_string_equal(relative.segment, absolute.segment);
}

static void a_relative_runtime_directory_is_refused_and_a_relative_xdg_one_ignored(void **state)
{
	struct weir_environment e = {.runtime_dir = "run", .uid = 7};
	struct weir_world w;

	(void)state;
	assert_non_null(weir_world_of(&e, &w));
	e.runtime_dir = NULL;
	e.xdg_runtime_dir = "run";
	e.uid = NOBODYS_UID;
	assert_null(weir_world_of(&e, &w));
	assert_string_equal(w.dir, "/tmp/weir-" NOBODYS_UID_TEXT);
}

static void a_path_that_does_not_fit_is_named_and_never_cut(void **state)
{
	char path[2 * WEIR_PATH_MAX];
	struct weir_world w;

	(void)state;
	memset(path, 'x', sizeof path);
	path[0] = '/';
	for (size_t length = WEIR_PATH_MAX - 40; length < WEIR_PATH_MAX + 8; length++) {
		struct weir_environment e = {.runtime_dir = path, .uid = 7};

		path[length] = '\0';
		if (!weir_world_of(&e, &w))
			assert_int_equal(strlen(w.lock), length + strlen("/agent.lock"));
		else
			assert_true(length + strlen("/agent.lock") >= WEIR_PATH_MAX);
		e = (struct weir_environment){.config = path, .uid = 7};
		assert_true(!weir_world_of(&e, &w) == (length < WEIR_PATH_MAX));
		path[length] = 'x';
	}
}

static void an_xdg_directory_whose_path_does_not_fit_is_named(void **state)
{
	struct weir_environment e = {.uid = geteuid()};
	char path[2 * WEIR_PATH_MAX];
	struct weir_world w;
	size_t length = strlen(directory);

	(void)state;
	memcpy(path, directory, length);
	for (int i = 0; i < 2; i++) {
		path[length++] = '/';
		memset(path + length, 'x', 220);
		path[length += 220] = '\0';
		assert_int_equal(mkdir(path, 0700), 0);
	}
	path[length++] = '/';
	for (; length < WEIR_PATH_MAX + 8; length++) {
		path[length] = 'x';
		path[length + 1] = '\0';
		assert_int_equal(mkdir(path, 0700), 0);
		e.xdg_runtime_dir = path;
		if (!weir_world_of(&e, &w))
			assert_int_equal(strlen(w.lock), length + 1 + strlen("/weir/agent.lock"));
		else
			assert_true(length + 1 + strlen("/weir/agent.lock") >= WEIR_PATH_MAX);
	}
}

static void the_directory_is_made_for_its_owner_alone(void **state)
{
	struct stat st;
	mode_t before = umask(0);
	int err = -1;

	(void)state;
	assert_null(weir_runtime_prepare(inside("run"), geteuid(), &err));
	umask(before);
	assert_int_equal(err, 0);
	assert_int_equal(lstat(inside("run"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_null(weir_runtime_prepare(inside("run"), geteuid(), &err));
	assert_null(weir_runtime_prepare(inside("run//"), geteuid(), &err));
}

static void its_parents_are_not_made(void **state)
{
	int err = 0;

	(void)state;
	assert_string_equal(weir_runtime_prepare(inside("no/run"), geteuid(), &err), "cannot be created");
	assert_int_equal(err, ENOENT);
	assert_int_equal(access(inside("no"), F_OK), -1);
}

static void a_directory_that_others_may_enter_is_refused_and_not_repaired(void **state)
{
	static const mode_t modes[] = {0755, 0701, 0770, 0710, 0500, 0600, 0000};
	struct stat st;
	int err;

	(void)state;
	assert_int_equal(mkdir(inside("run"), 0700), 0);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		assert_int_equal(chmod(inside("run"), modes[i]), 0);
		assert_string_equal(weir_runtime_prepare(inside("run"), geteuid(), &err), "its mode is not 0700");
		assert_int_equal(stat(inside("run"), &st), 0);
		assert_int_equal(st.st_mode & 0777, modes[i]);
	}
}

static void another_users_directory_is_refused(void **state)
{
	int err;

	(void)state;
	assert_int_equal(mkdir(inside("run"), 0700), 0);
	assert_string_equal(weir_runtime_prepare(inside("run"), geteuid() + 1, &err), "belongs to another user");
}

static void a_symbolic_link_is_refused_with_and_without_a_slash(void **state)
{
	int err;

	(void)state;
	assert_int_equal(mkdir(inside("run"), 0700), 0);
	assert_int_equal(symlink(inside("run"), inside("link")), 0);
	assert_string_equal(weir_runtime_prepare(inside("link"), geteuid(), &err), "is a symbolic link");
	assert_string_equal(weir_runtime_prepare(inside("link/"), geteuid(), &err), "is a symbolic link");
	assert_int_equal(symlink("nowhere", inside("dangling")), 0);
	assert_string_equal(weir_runtime_prepare(inside("dangling"), geteuid(), &err), "is a symbolic link");
}

static void a_file_in_its_place_is_refused(void **state)
{
	int err;

	(void)state;
	make_program(inside("run"), 0600);
	assert_string_equal(weir_runtime_prepare(inside("run"), geteuid(), &err), "is not a directory");
	assert_string_equal(weir_runtime_prepare(inside("run/below"), geteuid(), &err), "cannot be looked at");
	assert_int_equal(err, ENOTDIR);
	assert_non_null(weir_runtime_prepare("run", geteuid(), &err));
	assert_non_null(weir_runtime_prepare("", geteuid(), &err));
}

static void an_umask_that_shuts_the_owner_out_leaves_nothing_behind(void **state)
{
	mode_t before = umask(0777);
	int err;
	const char *wrong = weir_runtime_prepare(inside("run"), geteuid(), &err);

	(void)state;
	umask(before);
	assert_string_equal(wrong, "its mode is not 0700");
	assert_int_equal(access(inside("run"), F_OK), -1);
}

static void racing_makers_all_get_the_directory(void **state)
{
	pid_t child[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			int err;

			_exit(weir_runtime_prepare(inside("run"), geteuid(), &err) ? 1 : 0);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;

		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
}

static void the_chain_goes_from_the_machine_to_the_user(void **state)
{
	struct weir_environment e = {.xdg_config_home = "/x", .home = "/home/u", .uid = 7};
	static char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];

	(void)state;
	assert_int_equal(weir_config_chain(&e, chain), 4);
	assert_string_equal(chain[0], WEIR_CONFDIR "/weir.conf");
	assert_string_equal(chain[1], WEIR_CONFDIR "/conf.d");
	assert_string_equal(chain[2], "/x/weir/conf.d");
	assert_string_equal(chain[3], "/x/weir/weir.conf");
	e.xdg_config_home = "relative";
	assert_int_equal(weir_config_chain(&e, chain), 4);
	assert_string_equal(chain[2], "/home/u/.config/weir/conf.d");
	assert_string_equal(chain[3], "/home/u/.config/weir/weir.conf");
	e.home = "";
	e.uid = NOBODYS_UID;
	assert_int_equal(weir_config_chain(&e, chain), 2);
}

/* A unit or a cron job without HOME reads what the login reads. */
static void without_a_home_the_one_of_the_login_counts(void **state)
{
	static char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX], without[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	struct passwd *user = getpwuid(geteuid());
	struct weir_environment e = {.runtime_dir = directory, .uid = geteuid()};
	char home[WEIR_PATH_MAX];
	struct weir_world w[2];

	(void)state;
	assert_non_null(user);
	assert_true(weir_home_of(geteuid(), home));
	assert_string_equal(home, user->pw_dir);
	assert_false(weir_home_of(NOBODYS_UID, home));
	assert_string_equal(home, "");
	assert_int_equal(weir_config_chain(&e, without), 4);
	assert_null(weir_world_of(&e, &w[0]));
	e.home = user->pw_dir;
	assert_int_equal(weir_config_chain(&e, chain), 4);
	assert_string_equal(chain[2], without[2]);
	assert_string_equal(chain[3], without[3]);
	assert_null(weir_world_of(&e, &w[1]));
	assert_true(w[0].key == w[1].key);
}

/* The first one has the plain names for good, and every other finds its own again. */
static void each_chain_has_a_world_of_its_own(void **state)
{
	struct weir_environment a = {.runtime_dir = inside("run"), .home = inside("a"), .uid = geteuid()};
	struct weir_environment b = {.runtime_dir = a.runtime_dir, .xdg_config_home = inside("b/config"), .uid = geteuid()};
	struct weir_world first, other, again;
	int err;

	(void)state;
	assert_null(weir_world_of(&a, &first));
	assert_null(weir_world_of(&b, &other)); /* nobody has been here yet */
	assert_string_equal(first.segment, inside("run/state.1"));
	assert_string_equal(other.segment, inside("run/state.1"));
	assert_null(weir_world_prepare(&first, geteuid(), &err));
	assert_null(weir_world_prepare(&other, geteuid(), &err));
	assert_string_equal(first.segment, inside("run/state.1"));
	assert_string_not_equal(other.segment, first.segment);
	assert_string_not_equal(other.lock, first.lock);
	assert_string_not_equal(other.socket, first.socket);
	assert_null(weir_world_of(&b, &again));
	assert_string_equal(again.segment, other.segment);
	assert_null(weir_world_of(&a, &again));
	assert_string_equal(again.segment, first.segment);
	/* However it is written, and with HOME instead of XDG_CONFIG_HOME. */
	a = (struct weir_environment){.runtime_dir = a.runtime_dir, .xdg_config_home = inside("a//.config/"), .uid = geteuid()};
	assert_null(weir_world_of(&a, &again));
	assert_string_equal(again.segment, first.segment);
	/* sudo -E and a named file */
	a.config = inside("my.conf");
	assert_null(weir_world_of(&a, &again));
	assert_string_not_equal(again.segment, first.segment);
	assert_string_not_equal(again.segment, other.segment);
}

/* ProtectHome, a container: the path is the same and what is there is not. */
static void a_home_that_is_another_one_makes_another_world(void **state)
{
	struct weir_environment e = {.runtime_dir = inside("run"), .home = inside("home"), .uid = geteuid()};
	struct weir_world seen, hidden, again;
	int err;

	(void)state;
	assert_int_equal(mkdir(inside("home"), 0700), 0);
	assert_null(weir_world_of(&e, &seen));
	assert_null(weir_world_prepare(&seen, geteuid(), &err));
	assert_int_equal(rename(inside("home"), inside("kept")), 0);
	assert_int_equal(mkdir(inside("home"), 0), 0);
	assert_null(weir_world_of(&e, &hidden));
	assert_string_not_equal(hidden.segment, seen.segment);
	assert_int_equal(rmdir(inside("home")), 0);
	assert_int_equal(rename(inside("kept"), inside("home")), 0);
	/* A first configuration moves nobody to another world. */
	assert_int_equal(mkdir(inside("home/.config"), 0700), 0);
	assert_null(weir_world_of(&e, &again));
	assert_string_equal(again.segment, seen.segment);
}

static void a_home_with_two_names_makes_one_world(void **state)
{
	struct weir_environment e = {.runtime_dir = inside("run"), .home = inside("home"), .uid = geteuid()};
	struct weir_world by_name, again;
	int err;

	(void)state;
	assert_int_equal(mkdir(inside("home"), 0700), 0);
	assert_int_equal(symlink("home", inside("link")), 0);
	assert_null(weir_world_of(&e, &by_name));
	assert_null(weir_world_prepare(&by_name, geteuid(), &err));
	e.home = inside("link");
	assert_null(weir_world_of(&e, &again));
	assert_string_equal(again.segment, by_name.segment);
	e.home = inside("home/../home/");
	assert_null(weir_world_of(&e, &again));
	assert_string_equal(again.segment, by_name.segment);
	e.home = NULL;
	e.xdg_config_home = inside("link/.config");
	assert_null(weir_world_of(&e, &again));
	assert_string_equal(again.segment, by_name.segment);
	/* The same home, but other files in it. */
	e.xdg_config_home = inside("link/other");
	assert_null(weir_world_of(&e, &again));
	assert_string_not_equal(again.segment, by_name.segment);
}

static void a_configuration_file_with_two_names_makes_one_world(void **state)
{
	struct weir_environment e = {.runtime_dir = inside("run"), .config = inside("etc/own.conf"), .uid = geteuid()};
	static const char *const names[] = {"etc/./own.conf", "etc/../etc/own.conf", "link.conf", "way/own.conf"};
	struct weir_world by_name, again;
	int fd;

	(void)state;
	assert_int_equal(mkdir(inside("etc"), 0700), 0);
	assert_int_equal(symlink("etc/own.conf", inside("link.conf")), 0);
	assert_int_equal(symlink("etc", inside("way")), 0);
	/* Not there yet: it is what it is called. */
	assert_null(weir_world_of(&e, &by_name));
	e.config = inside("link.conf");
	assert_null(weir_world_of(&e, &again));
	assert_string_not_equal(again.segment, by_name.segment);
	fd = open(inside("etc/own.conf"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		e.config = inside(names[i]);
		assert_null(weir_world_of(&e, &again));
		assert_string_equal(again.segment, by_name.segment);
	}
}

static void a_claim_that_nobody_can_have_written_keeps_everybody_apart(void **state)
{
	struct weir_environment e = {.runtime_dir = inside("run"), .home = "/x", .uid = geteuid()};
	struct weir_world w;
	int err;

	(void)state;
	assert_int_equal(mkdir(inside("run"), 0700), 0);
	assert_int_equal(symlink("0123456789abcdef0123456789abcdef", inside("run/chain")), 0);
	assert_null(weir_world_of(&e, &w));
	assert_null(weir_world_prepare(&w, geteuid(), &err));
	assert_int_equal(strlen(w.segment), strlen(inside("run/state.1.0123456789abcdef")));
}

static void weir_config_replaces_the_chain(void **state)
{
	const struct weir_environment e = {.config = "/my//weir.conf", .home = "/home/u", .uid = 7};
	static char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];

	(void)state;
	assert_int_equal(weir_config_chain(&e, chain), 1);
	assert_string_equal(chain[0], "/my/weir.conf");
}

static void the_program_is_found_beside_the_object_and_then_further_off(void **state)
{
	char found[WEIR_PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(inside("bin"), 0700), 0);
	assert_int_equal(mkdir(inside("lib"), 0700), 0);
	assert_int_equal(mkdir(inside("lib/weir"), 0700), 0);
	make_program(inside("bin/weir"), 0755);
	assert_null(weir_program_find(inside("lib/weir/libweir.so"), found));
	assert_string_equal(found, inside("lib/weir/../../bin/weir"));
	assert_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_string_equal(found, inside("lib/../bin/weir"));
	make_program(inside("lib/weir/weir"), 0755);
	assert_null(weir_program_find(inside("lib/weir/libweir.so"), found));
	assert_string_equal(found, inside("lib/weir/weir"));
}

static void a_program_that_cannot_be_run_is_passed_over(void **state)
{
	char found[WEIR_PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(inside("bin"), 0700), 0);
	assert_int_equal(mkdir(inside("lib"), 0700), 0);
	assert_int_equal(mkdir(inside("lib/weir"), 0700), 0); /* a directory named weir */
	make_program(inside("bin/weir"), 0644);
	if (!weir_program_find(inside("lib/libweir.so"), found))
		assert_string_equal(found, WEIR_BINDIR "/weir");
	else
		assert_string_equal(found, "");
	if (!weir_program_find("libweir.so", found)) /* not the working directory */
		assert_string_equal(found, WEIR_BINDIR "/weir");
	if (!weir_program_find(NULL, found))
		assert_string_equal(found, WEIR_BINDIR "/weir");
}

static void a_relative_object_gives_an_absolute_program(void **state)
{
	char found[WEIR_PATH_MAX];
	int here = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	make_program(inside("weir"), 0755);
	assert_int_equal(chdir(directory), 0);
	assert_null(weir_program_find("./libweir.so", found));
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_string_equal(found, inside("weir"));
}

static void a_program_that_others_may_have_put_there_is_not_used(void **state)
{
	char found[WEIR_PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(inside("lib"), 0700), 0);
	make_program(inside("lib/weir"), 0755);
	assert_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(inside("lib"), 0777), 0);
	assert_non_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(inside("lib"), 01777), 0);
	assert_non_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(inside("lib"), 0755), 0);
	assert_int_equal(chmod(inside("lib/weir"), 0757), 0);
	assert_non_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(inside("lib/weir"), 0755), 0);
	assert_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(directory, 0777), 0);
	assert_non_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(directory, 01777), 0);
	assert_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_int_equal(chmod(directory, 0700), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(inside("lib/weir"), 12345, 12345), 0);
	assert_non_null(weir_program_find(inside("lib/libweir.so"), found));
	assert_null(weir_path_trusted(inside("lib/weir"), 12345));
	assert_int_equal(chown(inside("lib/weir"), 0, 0), 0);
	assert_int_equal(chown(inside("lib"), 12345, 12345), 0);
	assert_non_null(weir_program_find(inside("lib/libweir.so"), found));
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(the_runtime_directory_is_the_first_that_is_given),
		IN_DIRECTORY(an_xdg_directory_that_is_not_the_users_own_is_passed_over),
		cmocka_unit_test(without_xdg_the_directory_of_the_login_is_found),
		cmocka_unit_test(the_files_stand_in_the_runtime_directory),
		cmocka_unit_test(another_configuration_is_another_world),
		IN_DIRECTORY(a_configuration_has_one_world_however_its_path_is_written),
		cmocka_unit_test(a_relative_runtime_directory_is_refused_and_a_relative_xdg_one_ignored),
		cmocka_unit_test(a_path_that_does_not_fit_is_named_and_never_cut),
		IN_DIRECTORY(an_xdg_directory_whose_path_does_not_fit_is_named),
		IN_DIRECTORY(the_directory_is_made_for_its_owner_alone),
		IN_DIRECTORY(its_parents_are_not_made),
		IN_DIRECTORY(a_directory_that_others_may_enter_is_refused_and_not_repaired),
		IN_DIRECTORY(another_users_directory_is_refused),
		IN_DIRECTORY(a_symbolic_link_is_refused_with_and_without_a_slash),
		IN_DIRECTORY(a_file_in_its_place_is_refused),
		IN_DIRECTORY(an_umask_that_shuts_the_owner_out_leaves_nothing_behind),
		IN_DIRECTORY(racing_makers_all_get_the_directory),
		cmocka_unit_test(the_chain_goes_from_the_machine_to_the_user),
		IN_DIRECTORY(without_a_home_the_one_of_the_login_counts),
		IN_DIRECTORY(each_chain_has_a_world_of_its_own),
		IN_DIRECTORY(a_home_that_is_another_one_makes_another_world),
		IN_DIRECTORY(a_home_with_two_names_makes_one_world),
		IN_DIRECTORY(a_configuration_file_with_two_names_makes_one_world),
		IN_DIRECTORY(a_claim_that_nobody_can_have_written_keeps_everybody_apart),
		cmocka_unit_test(weir_config_replaces_the_chain),
		IN_DIRECTORY(the_program_is_found_beside_the_object_and_then_further_off),
		IN_DIRECTORY(a_program_that_cannot_be_run_is_passed_over),
		IN_DIRECTORY(a_relative_object_gives_an_absolute_program),
		IN_DIRECTORY(a_program_that_others_may_have_put_there_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
