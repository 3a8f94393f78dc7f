/* SPDX-License-Identifier: MIT */
#include "src/preload/core/environment.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/http.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/units.h"

enum { UNREAD = 0, ENABLED, DISABLED };

static _Atomic int answer;
static char hosts[WEIR_HOST_PORT_MAX]; /* WEIR_HOSTS; written before the gate is in use, empty: all */

static const char *value_of(const char *name)
{
	const char *value = secure_getenv(name);

	return value && value[0] != '\0' ? value : NULL;
}

static bool is_on(const char *name)
{
	const char *value = value_of(name);

	return value && strcmp(value, "0") != 0;
}

/* glibc has it. What weir knows of a process (who calls, which libcurl that is) it knows by glibc's ways: on another C library,
 * such as musl, it loads and lets everything pass. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

static bool read_switches(void)
{
	bool disabled = is_on("WEIR_DISABLE") || !gnu_get_libc_version;
	const char *log = value_of("WEIR_LOG");

	/* A wrong WEIR_LOG has nowhere to be told but where it failed to point. */
	if (!disabled && log)
		weir_log_setup(log);
	atomic_store_explicit(&answer, disabled ? DISABLED : ENABLED, memory_order_release);
	return disabled;
}

bool weir_disabled(void)
{
	int known = atomic_load_explicit(&answer, memory_order_acquire);

	return known == UNREAD ? read_switches() : known == DISABLED;
}

bool weir_agent_off(void)
{
	const char *value = value_of("WEIR_AGENT");

	return value && strcmp(value, "off") == 0;
}

static bool next_number(const char **at, char end, uint64_t max, uint64_t *out)
{
	const char *p = *at;
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (*p != end)
		return false;
	*at = end ? p + 1 : p;
	*out = n;
	return true;
}

bool weir_run_parse(const char *text, struct weir_run *run)
{
	struct weir_run parsed = {{0}, 0, 0, 0};
	size_t length = strcspn(text, ",");
	uint64_t burst, concurrency;

	if (length == 0 || length >= sizeof parsed.id || text[length] != ',')
		return false;
	memcpy(parsed.id, text, length);
	/* The id becomes part of an entry's key, between "@" and "/". */
	if (strspn(parsed.id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") != length)
		return false;
	text += length + 1;
	if (!next_number(&text, ',', UINT64_MAX, &parsed.rate) || !next_number(&text, ',', UINT32_MAX, &burst) ||
	    !next_number(&text, '\0', UINT32_MAX, &concurrency))
		return false;
	parsed.burst = (uint32_t)burst;
	parsed.concurrency = (uint32_t)concurrency;
	*run = parsed;
	return true;
}

static void read_hosts(const char *glob)
{
	size_t length = strlen(glob);

	if (length >= sizeof hosts) {
		weir_log(WEIR_LOG_WARN, "WEIR_HOSTS: too long; all hosts are limited");
		return;
	}
	for (size_t i = 0; i <= length; i++)
		hosts[i] = glob[i] >= 'A' && glob[i] <= 'Z' ? (char)(glob[i] - 'A' + 'a') : glob[i];
}

void weir_environment_gate(struct weir_gate *g)
{
	const char *run = value_of("WEIR_RUN"), *wait = value_of("WEIR_MAX_WAIT"), *glob = value_of("WEIR_HOSTS"), *wrong;

	g->dry_run = is_on("WEIR_DRY_RUN");
	if (run && !weir_run_parse(run, &g->run))
		weir_log(WEIR_LOG_WARN, "WEIR_RUN: expected ID,RATE,BURST,CONCURRENCY; the run's own limits are left out");
	if (wait) {
		wrong = weir_parse_duration(wait, &g->wait_max_ns);
		if (wrong) {
			g->wait_max_ns = 0;
			weir_log(WEIR_LOG_WARN, "WEIR_MAX_WAIT: %s", wrong);
		} else if (g->wait_max_ns == 0) {
			g->wait_max_ns = 1; /* 0 would mean no bound; "0" means not to wait at all */
		}
	}
	if (glob)
		read_hosts(glob);
}

void weir_environment_read(struct weir_environment *e)
{
	e->runtime_dir = value_of("WEIR_RUNTIME_DIR");
	e->xdg_runtime_dir = value_of("XDG_RUNTIME_DIR");
	e->config = value_of("WEIR_CONFIG");
	e->xdg_config_home = value_of("XDG_CONFIG_HOME");
	e->home = value_of("HOME");
	e->uid = weir_geteuid();
}

/* '*' and '?'; iterative, with one step back per star: at most length x length steps. */
static bool glob_matches(const char *glob, const char *text, size_t length)
{
	const char *end = text + length, *star = NULL, *from = NULL;

	while (text < end) {
		if (*glob == '*') {
			star = ++glob;
			from = text;
		} else if (*glob == '?' || *glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool weir_host_chosen(const char *host_port)
{
	const char *colon;

	if (hosts[0] == '\0')
		return true;
	colon = strrchr(host_port, ':');
	return glob_matches(hosts, host_port, strlen(host_port)) ||
	       (colon && glob_matches(hosts, host_port, (size_t)(colon - host_port)));
}
