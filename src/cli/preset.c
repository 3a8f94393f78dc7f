/* SPDX-License-Identifier: MIT */
/*
 * `weir preset`: the published limits of real APIs that come with weir, and taking them into the configuration.
 *
 * Enabling copies the file into conf.d. A link would change the limits with every upgrade, unseen, and leave the configuration
 * broken when the package goes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/environment.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "src/cli/verified.h"
#include "weir/log.h"
#include "weir/policy.h"

#define PRESET_BYTES_MAX 65536
#define NAME_MAX_BYTES   64

enum { OPTION_USER = 256, OPTION_SYSTEM, OPTION_HELP };

enum place { PLACE_USUAL, PLACE_USER, PLACE_SYSTEM };

/* Where they are installed: share/weir/presets under weir's own prefix, or in the sources that it was built in. */
static bool find_presets(char out[WEIR_PATH_MAX])
{
	static const char *const below[] = {"../share/weir/presets", "../../share/weir/presets", "../../../share/weir/presets",
					    "../conf/presets", "../../conf/presets"};
	char self[WEIR_PATH_MAX], path[2 * WEIR_PATH_MAX], real[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n <= 0 || n >= (ssize_t)sizeof self - 1)
		return false;
	self[n] = '\0';
	const char *directory = dirname(self);

	for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, below[i]);
		if (!realpath(path, real) || strlen(real) >= WEIR_PATH_MAX || weir_path_trusted(real, geteuid()))
			continue;
		memcpy(out, real, strlen(real) + 1);
		return true;
	}
	return false;
}

/* The conf.d that is meant. NULL, or why there is none. */
static const char *find_target(enum place place, char out[WEIR_PATH_MAX])
{
	struct weir_environment e = weir_environment_read();
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];

	if (e.config && e.config[0])
		return "WEIR_CONFIG replaces the usual files; unset it";
	size_t count = weir_config_chain(&e, chain);
	bool system = place == PLACE_SYSTEM || (place == PLACE_USUAL && e.uid == 0);
	/* /etc/weir/weir.conf, /etc/weir/conf.d, and the user's conf.d and weir.conf. */
	size_t index = system ? 1 : 2;

	if (count <= index + (system ? 0 : 1))
		return "there is no home directory for it";
	memcpy(out, chain[index], WEIR_PATH_MAX);
	return NULL;
}

static bool is_name(const char *name)
{
	return name[0] != '.' && name[0] != '\0' && strlen(name) < NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name);
}

/* The whole text of a file, to be freed; NULL and errno. */
static char *contents(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f ? calloc(1, PRESET_BYTES_MAX) : NULL;

	if (text && fread(text, 1, PRESET_BYTES_MAX - 1, f) == 0 && ferror(f)) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

/* Compiles one file, or the usual ones. Says what is wrong where `loud`. */
static bool compile(const char *file, bool loud, struct weir_policy *policy)
{
	struct weir_environment e = weir_environment_read();
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	struct weir_findings findings;
	size_t count = 1;

	if (file)
		snprintf(chain[0], WEIR_PATH_MAX, "%s", file);
	else
		count = weir_config_chain(&e, chain);
	bool good = weir_policy_compile(chain, count, file != NULL, policy, &findings);

	for (size_t i = 0; loud && i < findings.count; i++)
		weir_complain("preset", "%s", findings.line[i]);
	weir_findings_free(&findings);
	return good;
}

static void path_of(char out[2 * WEIR_PATH_MAX], const char *directory, const char *prefix, const char *name)
{
	snprintf(out, 2 * WEIR_PATH_MAX, "%s/%s%s.conf", directory, prefix, name);
}

/* Where a preset is enabled: " (you)", " (all)" or both. */
static void list_places(const char *name)
{
	char directory[WEIR_PATH_MAX], path[2 * WEIR_PATH_MAX];
	bool any = false;

	for (enum place p = PLACE_USER; p <= PLACE_SYSTEM; p++) {
		if (find_target(p, directory))
			continue;
		path_of(path, directory, "preset-", name);
		if (access(path, F_OK) != 0)
			continue;
		printf("%s%s", any ? ", " : "", p == PLACE_USER ? "enabled" : "enabled for all");
		any = true;
	}
	if (!any)
		fputs("-", stdout);
}

static void list_one(const char *directory, const char *name)
{
	char path[2 * WEIR_PATH_MAX], date[16] = "";
	struct weir_policy policy;
	size_t origin = 0;

	path_of(path, directory, "", name);
	bool good = compile(path, true, &policy);
	bool dated = good && weir_verified_oldest(&policy, date, &origin);

	printf("%-16s  %-10s  ", name, !good ? "refused" : dated ? date : "never");
	list_places(name);
	if (dated && weir_verified_long_ago(date, time(NULL)))
		fputs("  (verified more than a year ago)", stdout);
	putchar('\n');
	if (good)
		weir_policy_free(&policy);
}

static int is_preset(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && n < NAME_MAX_BYTES && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int list(const char *directory)
{
	struct dirent **entry;
	int n = scandir(directory, &entry, is_preset, alphasort);

	if (n < 0) {
		weir_complain("preset", "%s: %s", directory, strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	printf("%-16s  %-10s  %s\n", "PRESET", "VERIFIED", "STATE");
	for (int i = 0; i < n; i++) {
		entry[i]->d_name[strlen(entry[i]->d_name) - 5] = '\0';
		list_one(directory, entry[i]->d_name);
		free(entry[i]);
	}
	free(entry);
	return WEIR_EXIT_OK;
}

/* Makes a directory and what is missing above it. */
static bool make_directories(const char *path)
{
	char part[WEIR_PATH_MAX];

	for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", slash ? (int)(slash - path) : (int)strlen(path), path);
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return false;
		if (!slash)
			return true;
	}
}

/* Makes `to` with this text, whole or not at all, and never in the place of something. 0 or errno. */
static int write_new(const char *to, const char *directory, const char *text)
{
	char fresh[2 * WEIR_PATH_MAX];
	size_t length = strlen(text);
	int err = 0;

	snprintf(fresh, sizeof fresh, "%s/.preset.%ld", directory, (long)getpid());
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return errno;
	if (write(fd, text, length) != (ssize_t)length || fsync(fd) != 0)
		err = errno ? errno : EIO;
	if (close(fd) != 0 && !err)
		err = errno;
	if (!err && link(fresh, to) != 0)
		err = errno;
	unlink(fresh);
	return err;
}

static int already(const char *to, const char *text)
{
	char *now = contents(to);
	bool same = now && strcmp(now, text) == 0;

	free(now);
	if (same) {
		printf("%s is there already\n", to);
		return WEIR_EXIT_OK;
	}
	weir_complain("preset", "%s: is there already and differs from the preset; compare, and remove it if it may go", to);
	return WEIR_EXIT_FAILED;
}

static int enable(const char *from, const char *to, const char *directory)
{
	struct weir_policy policy;
	bool good = compile(NULL, false, &policy);
	char *text = contents(from);

	if (good)
		weir_policy_free(&policy);
	if (!text || !make_directories(directory)) {
		weir_complain("preset", "%s: %s", text ? directory : from, strerror(errno));
		free(text);
		return WEIR_EXIT_FAILED;
	}
	int err = write_new(to, directory, text), status = err == EEXIST ? already(to, text) : WEIR_EXIT_OK;

	free(text);
	if (err == EEXIST)
		return status;
	if (err) {
		weir_complain("preset", "%s: %s", to, strerror(err));
		return WEIR_EXIT_FAILED;
	}
	if (!compile(NULL, true, &policy)) {
		weir_complain("preset", "the configuration would be refused with it%s",
			      good ? ": taken back" : ", as it was before");
		if (good)
			unlink(to);
		return WEIR_EXIT_FAILED;
	}
	weir_verified_warn(&policy, time(NULL));
	weir_policy_free(&policy);
	printf("made %s\n", to);
	return WEIR_EXIT_OK;
}

static int disable(const char *from, const char *to)
{
	char *now = contents(to), *text = contents(from);
	int status = WEIR_EXIT_OK;

	if (!now && errno == ENOENT) {
		printf("%s is not there\n", to);
	} else if (!now || !text || strcmp(now, text) != 0) {
		weir_complain("preset", "%s: differs from the preset: remove it yourself", to);
		status = WEIR_EXIT_FAILED;
	} else if (unlink(to) != 0) {
		weir_complain("preset", "%s: %s", to, strerror(errno));
		status = WEIR_EXIT_FAILED;
	} else {
		printf("removed %s\n", to);
	}
	free(now);
	free(text);
	return status;
}

static int show(const char *from)
{
	char *text = contents(from);

	fputs(text ? text : "", stdout);
	free(text);
	return WEIR_EXIT_OK;
}

/* show, enable, disable NAME. */
static int handle(const char *what, const char *name, const char *presets, enum place place)
{
	char from[2 * WEIR_PATH_MAX], to[2 * WEIR_PATH_MAX], directory[WEIR_PATH_MAX];

	path_of(from, presets, "", name);
	if (!is_name(name) || access(from, R_OK) != 0) {
		weir_complain("preset", "there is no preset '%s'; see weir preset list", name);
		return WEIR_EXIT_FAILED;
	}
	if (strcmp(what, "show") == 0)
		return show(from);
	const char *why = find_target(place, directory);

	if (why) {
		weir_complain("preset", "%s", why);
		return WEIR_EXIT_FAILED;
	}
	/* The machine's is for all to read, whatever root keeps to himself. */
	if (place == PLACE_SYSTEM || (place == PLACE_USUAL && geteuid() == 0))
		umask(022);
	path_of(to, directory, "preset-", name);
	return strcmp(what, "enable") == 0 ? enable(from, to, directory) : disable(from, to);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"user", no_argument, NULL, OPTION_USER},
						{"system", no_argument, NULL, OPTION_SYSTEM},
						{"help", no_argument, NULL, OPTION_HELP},
						{NULL, 0, NULL, 0}};
	enum place place = PLACE_USUAL;
	char presets[WEIR_PATH_MAX];
	int o;

	optind = 0;
	opterr = 0;
	while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (o == OPTION_HELP)
			return weir_print_help(&weir_subcommand_preset);
		if (o != OPTION_USER && o != OPTION_SYSTEM)
			return weir_option_error(&weir_subcommand_preset, o, argv);
		place = o == OPTION_USER ? PLACE_USER : PLACE_SYSTEM;
	}
	const char *what = optind < argc ? argv[optind] : "list";
	bool lists = strcmp(what, "list") == 0;

	if (!lists && strcmp(what, "show") != 0 && strcmp(what, "enable") != 0 && strcmp(what, "disable") != 0)
		return weir_usage_error(&weir_subcommand_preset, "expected list, show, enable or disable, got '%s'", what);
	if (argc - optind > (lists ? 1 : 2))
		return weir_usage_error(&weir_subcommand_preset, "%s: too many operands", what);
	if (!lists && argc - optind < 2)
		return weir_usage_error(&weir_subcommand_preset, "%s: no preset given", what);
	if (!find_presets(presets)) {
		weir_complain("preset", "no presets are installed, or others can write where they are");
		return WEIR_EXIT_FAILED;
	}
	return lists ? list(presets) : handle(what, argv[optind + 1], presets, place);
}

const struct weir_subcommand weir_subcommand_preset = {
	.name = "preset",
	.synopsis = "preset [list | show NAME | enable NAME | disable NAME] [--user | --system]",
	.summary = "Lists the published limits of real APIs that come with weir, and takes them into the configuration",
	.details = "enable copies a preset into conf.d, never over something that is there, and checks the configuration\n"
		   "with it; disable removes it where it was not changed. VERIFIED is when the limits were last compared\n"
		   "with what the API publishes.\n"
		   "\n"
		   "      --user              into your own configuration; the default for all but root\n"
		   "      --system            into the machine's; the default for root\n",
	.run = run,
};
