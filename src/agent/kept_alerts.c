/* SPDX-License-Identifier: MIT */
/*
 * A line each, in the order in which they come:
 *
 *   weir alerts 1
 *   firing KIND SINCE WORST ACKNOWLEDGED HOST     SINCE: ns of CLOCK_REALTIME; HOST as it is shown (src/stats/spelling.h)
 *   silent UNTIL HOST
 *
 * What cannot be read is skipped: at worst somebody is told a second time.
 */
#include "src/agent/kept_alerts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/stats/spelling.h"
#include "weir/log.h"
#include "weir/runtime.h"

#define HEAD      "weir alerts 1\n"
#define BYTES_MAX ((off_t)1 << 20)
#define ALERTS    1024 /* so many are kept */

static void take_line(struct weir_monitor *m, char *line, uint64_t wall_ns)
{
	char kind[32];
	uint64_t since, worst;
	int acknowledged, host = 0;

	if (sscanf(line, "firing %31s %" SCNu64 " %" SCNu64 " %d %n", kind, &since, &worst, &acknowledged, &host) == 4 &&
	    host > 0 && weir_alert_named(kind) < WEIR_ALERT_KINDS && weir_unspell(line + host))
		weir_monitor_restore(m, line + host, weir_alert_named(kind), since, worst, acknowledged == 1);
	else if (sscanf(line, "silent %" SCNu64 " %n", &since, &host) == 1 && host > 0 && weir_unspell(line + host))
		weir_monitor_silence(m, line + host, since, wall_ns);
}

static FILE *open_kept(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_size <= BYTES_MAX &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return fdopen(fd, "r");
	close(fd);
	weir_log(WEIR_LOG_WARN, "agent: %s is no file of this user's alone and is not read", path);
	return NULL;
}

void weir_kept_alerts_read(struct weir_monitor *m, const char *path, uint64_t wall_ns)
{
	FILE *in = open_kept(path);
	char line[WEIR_SPELLING_MAX + 128];

	if (in == NULL)
		return;
	if (fgets(line, sizeof line, in) == NULL || strcmp(line, HEAD) != 0)
		weir_log(WEIR_LOG_WARN, "agent: %s is of another version or damaged and is not read", path);
	else
		while (fgets(line, sizeof line, in) != NULL) {
			line[strcspn(line, "\n")] = '\0';
			take_line(m, line, wall_ns);
		}
	fclose(in);
}

static size_t put(const struct weir_monitor *m, FILE *out)
{
	struct weir_alert *alert = calloc(ALERTS, sizeof *alert);
	const struct weir_silence *silence;
	char name[WEIR_SPELLING_MAX];
	size_t n = alert != NULL ? weir_monitor_alerts(m, alert, ALERTS) : 0, lines = 0;

	fputs(HEAD, out);
	for (size_t i = 0; i < n && i < ALERTS; i++) {
		if (alert[i].state != WEIR_ALERT_FIRING)
			continue;
		weir_spell(alert[i].host, name);
		fprintf(out, "firing %s %" PRIu64 " %" PRIu64 " %d %s\n", weir_alert_name(alert[i].kind), alert[i].since_wall_ns,
			alert[i].worst, alert[i].acknowledged, name);
		lines++;
	}
	for (size_t i = 0; (silence = weir_monitor_silence_at(m, i)) != NULL; i++) {
		weir_spell(silence->host, name);
		fprintf(out, "silent %" PRIu64 " %s\n", silence->until_wall_ns, name);
		lines++;
	}
	free(alert);
	return lines;
}

/* What if this process dies here? Then the file is as it was, and a ".new" beside it that the next one removes. */
int weir_kept_alerts_write(const struct weir_monitor *m, const char *path)
{
	char fresh[WEIR_PATH_MAX + 8];
	size_t lines;
	int fd, err = 0;
	FILE *out;

	snprintf(fresh, sizeof fresh, "%s.new", path);
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (out == NULL) {
		err = errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	lines = put(m, out);
	if (fclose(out) != 0)
		err = errno;
	if (err == 0 && lines > 0 && rename(fresh, path) == 0)
		return 0;
	if (err == 0 && lines > 0)
		err = errno;
	if (err == 0 && unlink(path) != 0 && errno != ENOENT)
		err = errno;
	unlink(fresh);
	return err;
}
