/* Whatever is wrong with weir, the program does not notice: the same output, the same exit status. */
#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/every_agent.h"
#include "weir/segment.h"

#define WEIR_ENV 6

/* A scene in which something is wrong; the commands are run in it bare and under weir. */
struct trouble {
	struct scene *scene;
	struct quotad *server;
	char *segment;             /* runtime/state.1 */
	const char *env[WEIR_ENV]; /* what the trouble needs */
	const char *before;        /* shell text ahead of the command */
	bool not_here;             /* it cannot be made on this machine or as this user */
};

static void put(const char *path, const void *bytes, size_t count)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, count), count);
	close(fd);
}

/* Has weir make a good segment, to be spoilt. */
static void make_segment(struct trouble *t)
{
	const char *url = quotad_url(t->server, "/n/0");
	const char *argv[] = {"curl", "-s", "-o", "/dev/null", url, NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = t->scene->dir};
	struct outcome o = command_run(&c);

	assert_int_equal(o.exit_status, 0);
	assert_return_code(access(t->segment, R_OK), errno);
	outcome_free(&o);
	end_every_agent(t->scene);
}

static void spoil(struct trouble *t, off_t at, const void *bytes, size_t count)
{
	int fd;

	make_segment(t);
	fd = open(t->segment, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, count, at), count);
	close(fd);
}

static void runtime_directory_below_a_file(struct trouble *t)
{
	t->env[0] = "WEIR_RUNTIME_DIR=/etc/hostname/weir";
}

static void runtime_directory_without_a_parent(struct trouble *t)
{
	t->env[0] = "WEIR_RUNTIME_DIR=/no/such/place/weir";
}

static void runtime_directory_in_sysfs(struct trouble *t)
{
	t->env[0] = "WEIR_RUNTIME_DIR=/sys/weir";
}

static void runtime_directory_name_too_long(struct trouble *t)
{
	static char name[4000];

	memset(name, 'x', sizeof name - 1);
	memcpy(name, "WEIR_RUNTIME_DIR=/tmp/", strlen("WEIR_RUNTIME_DIR=/tmp/"));
	t->env[0] = name;
}

static void runtime_directory_is_open_to_others(struct trouble *t)
{
	assert_return_code(chmod(t->scene->runtime, 0777), errno);
}

static void runtime_directory_cannot_be_written(struct trouble *t)
{
	t->not_here = geteuid() == 0;
	assert_return_code(chmod(t->scene->runtime, 0500), errno);
}

static void runtime_directory_is_somebody_else_s(struct trouble *t)
{
	t->not_here = geteuid() != 0;
	if (!t->not_here)
		assert_return_code(chown(t->scene->runtime, 65534, 65534), errno);
}

static void runtime_directory_is_a_link(struct trouble *t)
{
	assert_return_code(rmdir(t->scene->runtime), errno);
	assert_return_code(symlink("/etc", t->scene->runtime), errno);
}

/* A mount that the commands alone see. */
static void mount_in_private(struct trouble *t, const char *mount, const char *at)
{
	static char before[400];
	struct outcome o = command_run(&(struct command){.shell = "unshare -m mount -t tmpfs none /mnt"});

	t->not_here = o.exit_status != 0;
	outcome_free(&o);
	snprintf(before, sizeof before, "exec unshare -m sh -c '%s \"$0\" && exec \"$@\"' %s ", mount, at);
	t->before = before;
}

static void there_is_no_proc(struct trouble *t)
{
	mount_in_private(t, "mount -t tmpfs none", "/proc");
}

static void runtime_directory_is_read_only(struct trouble *t)
{
	mount_in_private(t, "mount -t tmpfs -o ro,mode=0700,size=64k none", t->scene->runtime);
}

static void runtime_directory_is_full(struct trouble *t)
{
	mount_in_private(t, "mount -t tmpfs -o mode=0700,size=64k none", t->scene->runtime);
}

static void files_may_not_grow(struct trouble *t)
{
	t->before = "ulimit -f 8; ";
}

static void address_space_is_short(struct trouble *t)
{
	t->before = "ulimit -v 60000; ";
}

static void descriptors_are_short(struct trouble *t)
{
	t->before = "ulimit -n 8; ";
}

static void standard_descriptors_are_closed(struct trouble *t)
{
	t->before = "exec <&-; ";
}

static void segment_of_random_bytes(struct trouble *t)
{
	static unsigned char noise[300000];
	uint64_t x = 88172645463325252U;

	for (size_t i = 0; i < sizeof noise; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = (unsigned char)x;
	}
	put(t->segment, noise, sizeof noise);
}

static void segment_is_empty(struct trouble *t)
{
	put(t->segment, "", 0);
}

static void segment_is_cut_short(struct trouble *t)
{
	make_segment(t);
	assert_return_code(truncate(t->segment, 4096), errno);
}

static void segment_has_another_version(struct trouble *t)
{
	const uint32_t version = 77;

	spoil(t, offsetof(struct weir_segment_header, version), &version, sizeof version);
}

static void segment_lies_about_its_size(struct trouble *t)
{
	const uint32_t entries = 65536;

	spoil(t, offsetof(struct weir_segment_header, entries), &entries, sizeof entries);
}

static void segment_lies_about_its_parts(struct trouble *t)
{
	const uint64_t offset = UINT64_MAX - 64;

	spoil(t, offsetof(struct weir_segment_header, entry_offset), &offset, sizeof offset);
}

static void segment_is_from_another_boot(struct trouble *t)
{
	const uint8_t boot[16] = "not this boot..";

	spoil(t, offsetof(struct weir_segment_header, boot_id), boot, sizeof boot);
}

static void segment_is_somebody_else_s(struct trouble *t)
{
	t->not_here = geteuid() != 0;
	make_segment(t);
	if (!t->not_here)
		assert_return_code(chown(t->segment, 65534, 65534), errno);
}

static void segment_is_open_to_others(struct trouble *t)
{
	make_segment(t);
	assert_return_code(chmod(t->segment, 0666), errno);
}

static void segment_is_a_directory(struct trouble *t)
{
	assert_return_code(mkdir(t->segment, 0700), errno);
}

static void segment_is_a_link(struct trouble *t)
{
	assert_return_code(symlink("/etc/hostname", t->segment), errno);
}

static void segment_is_a_pipe(struct trouble *t)
{
	assert_return_code(mkfifo(t->segment, 0600), errno);
}

static void configuration_is_missing(struct trouble *t)
{
	t->env[0] = "WEIR_CONFIG=/no/such/file";
}

static void configuration_is_nonsense(struct trouble *t)
{
	static char setting[300];
	char *file = write_file(t->scene->dir, "bad.conf", "hosts = ( { match = ; rate = 1e999/fortnight } ");

	snprintf(setting, sizeof setting, "WEIR_CONFIG=%s", file);
	free(file);
	t->env[0] = setting;
}

static void agent_is_off(struct trouble *t)
{
	t->env[0] = "WEIR_AGENT=off";
}

static void log_goes_nowhere(struct trouble *t)
{
	t->env[0] = "WEIR_LOG=debug:/no/such/directory/log";
}

static void log_is_nonsense(struct trouble *t)
{
	t->env[0] = "WEIR_LOG=loud:";
}

static void run_is_malformed(struct trouble *t)
{
	t->env[0] = "WEIR_RUN=1/../x,-5,99999999999999999999999,";
	t->env[1] = "WEIR_MAX_WAIT=a while";
	t->env[2] = "WEIR_HOSTS=[[[";
	t->env[3] = "WEIR_DRY_RUN=perhaps";
}

static void everything_is_unset(struct trouble *t)
{
	t->env[0] = "HOME";
	t->env[1] = "XDG_CONFIG_HOME";
	t->env[2] = "PATH=/usr/bin:/bin";
}

static const struct {
	const char *name;
	void (*make)(struct trouble *t);
} troubles[] = {
#define TROUBLE(name)                                                                                                            \
	{                                                                                                                        \
#name, name                                                                                                      \
	}
	TROUBLE(runtime_directory_below_a_file),
	TROUBLE(runtime_directory_without_a_parent),
	TROUBLE(runtime_directory_in_sysfs),
	TROUBLE(runtime_directory_name_too_long),
	TROUBLE(runtime_directory_is_open_to_others),
	TROUBLE(runtime_directory_cannot_be_written),
	TROUBLE(runtime_directory_is_somebody_else_s),
	TROUBLE(runtime_directory_is_a_link),
	TROUBLE(runtime_directory_is_read_only),
	TROUBLE(runtime_directory_is_full),
	TROUBLE(there_is_no_proc),
	TROUBLE(files_may_not_grow),
	TROUBLE(address_space_is_short),
	TROUBLE(descriptors_are_short),
	TROUBLE(standard_descriptors_are_closed),
	TROUBLE(segment_of_random_bytes),
	TROUBLE(segment_is_empty),
	TROUBLE(segment_is_cut_short),
	TROUBLE(segment_has_another_version),
	TROUBLE(segment_lies_about_its_size),
	TROUBLE(segment_lies_about_its_parts),
	TROUBLE(segment_is_from_another_boot),
	TROUBLE(segment_is_somebody_else_s),
	TROUBLE(segment_is_open_to_others),
	TROUBLE(segment_is_a_directory),
	TROUBLE(segment_is_a_link),
	TROUBLE(segment_is_a_pipe),
	TROUBLE(configuration_is_missing),
	TROUBLE(configuration_is_nonsense),
	TROUBLE(agent_is_off),
	TROUBLE(log_goes_nowhere),
	TROUBLE(log_is_nonsense),
	TROUBLE(run_is_malformed),
	TROUBLE(everything_is_unset),
};

/* What is left in the way of removing the scene. */
static void clear_up(struct trouble *t)
{
	end_every_agent(t->scene);
	if (lchown(t->scene->runtime, geteuid(), getegid()) == 0 && unlink(t->scene->runtime) != 0)
		chmod(t->scene->runtime, 0700);
}

static void run_in_trouble(struct trouble *t, const char *command)
{
	char shell[600];
	struct command c = {.shell = shell, .dir = t->scene->dir, .env = t->env};
	struct outcome o;

	snprintf(shell, sizeof shell, "%s%s", t->before ? t->before : "", command);
	assert_same_with_and_without_weir(&c, SAME_OUTPUT_AND_ERRORS);
	/* And not because the trouble was too much for the program itself. */
	c.mode = COMMAND_UNDER_WEIR;
	o = command_run(&c);
	if (o.exit_status != 0)
		fail_msg("%s: exit status %d: %s", shell, o.exit_status, o.err);
	outcome_free(&o);
}

static void in_every_trouble_programs_do_what_they_do_without_weir(void **state)
{
	struct scene *first = *state;
	struct quotad *server = quotad_start(first->dir, NULL);
	char curl[200], wget[200];

	snprintf(curl, sizeof curl, "curl -sS %s", quotad_url(server, "/bytes/5000"));
	snprintf(wget, sizeof wget, "wget -qO- %s", quotad_url(server, "/n/12"));
	for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
		void *own = NULL;
		struct trouble t;

		memset(&t, 0, sizeof t);
		t.server = server;
		assert_int_equal(scene_setup(&own), 0);
		t.scene = own;
		t.segment = path_in(t.scene->runtime, "state.1");
		troubles[i].make(&t);
		print_message("    %s%s\n", troubles[i].name, t.not_here ? " (cannot be made here)" : "");
		if (!t.not_here) {
			run_in_trouble(&t, curl);
			run_in_trouble(&t, wget);
		}
		clear_up(&t);
		free(t.segment);
		free(t.scene->runtime);
		temp_dir_remove(t.scene->dir);
		free(t.scene);
	}
}

static void a_damaged_segment_is_replaced_by_the_agent(void **state)
{
	struct trouble t = {.scene = *state};
	struct weir_segment s;
	const char *why;
	int err;

	t.server = quotad_start(t.scene->dir, NULL);
	t.segment = path_in(t.scene->runtime, "state.1");
	segment_of_random_bytes(&t);
	for (int i = 0; i < 100; i++) {
		const char *argv[] = {"curl", "-s", "-o", "/dev/null", quotad_url(t.server, "/n/0"), NULL};
		struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = t.scene->dir};
		struct outcome o = command_run(&c);

		assert_int_equal(o.exit_status, 0);
		outcome_free(&o);
		memset(&s, 0, sizeof s);
		if (weir_segment_open(&s, t.segment, false, NULL, &why, &err) == WEIR_SEGMENT_OK)
			break;
		usleep(20000);
	}
	assert_non_null(s.base);
	weir_segment_close(&s);
	free(t.segment);
}

static void what_went_wrong_is_told_in_one_line_of_the_log(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, NULL);
	const char *argv[] = {"curl", "-s", quotad_url(server, "/n/1"), quotad_url(server, "/n/2"), NULL};
	const char *env[] = {"WEIR_RUNTIME_DIR=/no/such/place/weir", "WEIR_LOG=error", NULL};
	struct command c = {.argv = argv, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir, .env = env};
	struct outcome o = command_run(&c);

	assert_string_equal(o.out, "1\n2\n");
	assert_non_null(strstr(o.err, "error: /no/such/place/weir: "));
	assert_ptr_equal(strchr(o.err, '\n'), o.err + o.err_bytes - 1);
	outcome_free(&o);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(in_every_trouble_programs_do_what_they_do_without_weir),
		SCENE(a_damaged_segment_is_replaced_by_the_agent),
		SCENE(what_went_wrong_is_told_in_one_line_of_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
