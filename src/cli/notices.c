/* SPDX-License-Identifier: MIT */
#include "src/cli/notices.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "weir/policy.h"

static FILE *open_own(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	FILE *f = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() ? fdopen(fd, "r") : NULL;
	if (!f)
		close(fd);
	return f;
}

unsigned weir_notices_list(const struct weir_environment *e, bool today, void (*each)(const char *line))
{
	char path[WEIR_PATH_MAX], line[512], date[16] = "";
	unsigned count = 0;
	time_t now = time(NULL);
	struct tm tm;
	if (gmtime_r(&now, &tm))
		strftime(date, sizeof date, "%Y-%m-%d ", &tm);
	for (unsigned which = 0; which < 2; which++) {
		FILE *f = weir_notice_file(e, which, path) ? open_own(path) : NULL;
		if (!f)
			continue;
		while (fgets(line, sizeof line, f)) {
			line[strcspn(line, "\n")] = '\0';
			for (char *c = line; *c; c++)
				if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
					*c = '?';
			if (today && strncmp(line, date, strlen(date)) != 0)
				continue;
			each(line);
			count++;
		}
		fclose(f);
	}
	return count;
}

unsigned weir_left_out_list(const struct weir_environment *e, void (*each)(const char *text))
{
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	struct weir_policy policy;
	struct weir_findings findings;
	char text[WEIR_LEFT_OUT_MAX];
	unsigned count = 0;
	memset(&policy, 0, sizeof policy);
	memset(&findings, 0, sizeof findings);
	if (weir_policy_compile(chain, weir_config_chain(e, chain), e->config && e->config[0], &policy, &findings)) {
		for (uint32_t i = 0; i < policy.source_count; i++) {
			if (weir_policy_left_out(&policy, i, text)) {
				each(text);
				count++;
			}
		}
		weir_policy_free(&policy);
	}
	weir_findings_free(&findings);
	return count;
}
