/* SPDX-License-Identifier: MIT */
#include "src/cli/stale.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY    "libweir.so"
#define LINES_MAX  10000U /* of one file: a bound, and more than anybody's profile */
#define BOUNDARIES " \t:;,=\"'()"

/* Where LD_PRELOAD is set for longer than a command. "~" is the user's home. */
static const char *const places[] = {
	"/etc/ld.so.preload",
	"/etc/environment",
	"/etc/environment.d/*.conf",
	"/etc/security/pam_env.conf",
	"/etc/profile",
	"/etc/profile.d/*",
	"/etc/bash.bashrc",
	"/etc/zsh/*",
	"/etc/crontab",
	"/etc/cron.d/*",
	"/etc/systemd/system.conf",
	"/etc/systemd/user.conf",
	"/etc/systemd/*/*.service",
	"/etc/systemd/*/*.service.d/*.conf",
	"/etc/default/*",
	"/etc/php/*/fpm/pool.d/*.conf",
	"/run/systemd/system/*.service",
	"/usr/local/lib/systemd/*/*.service",
	"/var/spool/cron/crontabs/*",
	"~/.profile",
	"~/.bash_profile",
	"~/.bash_login",
	"~/.bashrc",
	"~/.zshenv",
	"~/.zprofile",
	"~/.zshrc",
	"~/.config/fish/config.fish",
	"~/.config/environment.d/*.conf",
	"~/.config/systemd/user/*.service",
	"~/.config/systemd/user/*.service.d/*.conf",
	"~/.pam_environment",
};

/* Whether any file answers to a pattern. */
static bool any(const char *pattern)
{
	glob_t found;
	bool there = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;

	globfree(&found);
	return there;
}

/* Whether the library is there, or somewhere where this user may not look. $LIB is what the dynamic linker makes of it (lib,
 * lib64, lib/x86_64-linux-gnu): any will do. Of other variables nothing is known, and nothing is said. */
static bool exists(const char *library)
{
	static const char *const libs[] = {"lib", "lib64", "lib/*"};
	const char *lib = strstr(library, "$LIB/"), *dollar = strchr(library, '$');
	char pattern[2 * WEIR_PATH_MAX];

	if (!dollar)
		return access(library, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
	if (lib != dollar || strchr(dollar + 1, '$'))
		return true;
	for (size_t i = 0; i < sizeof libs / sizeof *libs; i++) {
		snprintf(pattern, sizeof pattern, "%.*s%s%s", (int)(lib - library), library, libs[i], lib + 4);
		if (any(pattern))
			return true;
	}
	return false;
}

/* Looks at each word of a line that is a path of the library. */
static void look_at_line(const char *file, unsigned number, const char *line,
			 void (*each)(const char *file, unsigned line, const char *library))
{
	const char *begin = line + strspn(line, " \t");

	if (*begin == '#')
		return;
	for (const char *at = strstr(begin, LIBRARY); at; at = strstr(at + 1, LIBRARY)) {
		const char *from = at, *end = at + sizeof LIBRARY - 1;
		char library[WEIR_PATH_MAX];

		if (*end && !strchr(BOUNDARIES "\n", *end))
			continue;
		while (from > begin && !strchr(BOUNDARIES, from[-1]))
			from--;
		if (*from != '/' || end - from >= WEIR_PATH_MAX)
			continue;
		snprintf(library, sizeof library, "%.*s", (int)(end - from), from);
		/* "\$LIB": as it must be written within a shell's double quotes. */
		char *backslash = strstr(library, "\\$");
		if (backslash)
			memmove(backslash, backslash + 1, strlen(backslash));
		if (!exists(library))
			each(file, number, library);
	}
}

static void look_at_file(const char *file, void (*each)(const char *file, unsigned line, const char *library))
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *line = NULL;
	size_t size = 0;

	if (fd < 0)
		return;
	FILE *f = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
	if (!f) {
		close(fd);
		return;
	}
	for (unsigned number = 1; number <= LINES_MAX && getline(&line, &size, f) > 0; number++)
		look_at_line(file, number, line, each);
	free(line);
	fclose(f);
}

void weir_stale_list(const struct weir_environment *e, void (*each)(const char *file, unsigned line, const char *library))
{
	char home[WEIR_PATH_MAX] = "";

	if (e->home && e->home[0] == '/')
		snprintf(home, sizeof home, "%s", e->home);
	else
		weir_home_of(e->uid, home);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char pattern[2 * WEIR_PATH_MAX];
		glob_t found;

		if (places[i][0] == '~' && home[0] == '\0')
			continue;
		snprintf(pattern, sizeof pattern, "%s%s", places[i][0] == '~' ? home : "", places[i] + (places[i][0] == '~'));
		if (glob(pattern, 0, NULL, &found) == 0) {
			for (size_t k = 0; k < found.gl_pathc; k++)
				look_at_file(found.gl_pathv[k], each);
		}
		globfree(&found);
	}
}
