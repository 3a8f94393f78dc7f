/* SPDX-License-Identifier: MIT */
#include "src/preload/core/environment.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "src/preload/core/find_real.h"
#include "weir/http.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/units.h"

enum { UNREAD = 0, ENABLED, DISABLED };

static _Atomic int answer;
static char hosts[WEIR_HOST_PORT_MAX]; /* WEIR_HOSTS; written before the gate is in use, empty: all */

enum variable {
	WEIR_DISABLE,
	WEIR_LOG,
	WEIR_AGENT,
	WEIR_DRY_RUN,
	WEIR_RUN,
	WEIR_MAX_WAIT,
	WEIR_RETRY,
	WEIR_PRIORITY,
	WEIR_CLIENT,
	WEIR_SUMMARY,
	WEIR_HOSTS,
	WEIR_RUNTIME_DIR,
	WEIR_CONFIG,
	XDG_RUNTIME_DIR,
	XDG_CONFIG_HOME,
	XDG_STATE_HOME,
	HOME,
	VARIABLES
};

/* With lengths, as every process that is started compares its whole environment with them. */
#define VARIABLE(name) [name] = {#name, sizeof #name - 1}
static const struct {
	char text[20];
	size_t length;
} names[VARIABLES] = {
	VARIABLE(WEIR_DISABLE),    VARIABLE(WEIR_LOG),         VARIABLE(WEIR_AGENT),  VARIABLE(WEIR_DRY_RUN),
	VARIABLE(WEIR_RUN),        VARIABLE(WEIR_MAX_WAIT),    VARIABLE(WEIR_RETRY),  VARIABLE(WEIR_PRIORITY),
	VARIABLE(WEIR_HOSTS),      VARIABLE(WEIR_RUNTIME_DIR), VARIABLE(WEIR_CONFIG), VARIABLE(XDG_RUNTIME_DIR),
	VARIABLE(XDG_CONFIG_HOME), VARIABLE(XDG_STATE_HOME),   VARIABLE(HOME),        VARIABLE(WEIR_CLIENT),
	VARIABLE(WEIR_SUMMARY),
};

#define KEPT_BYTES      4096
#define ENVIRONMENT_MAX 65536 /* variables looked at */

/* What the process was started with, "NAME=VALUE" as it stood there; NULL = unset. Copied, as programs that write a title of
 * their own do it over these texts; what does not fit is only pointed to. */
static char kept[KEPT_BYTES];
static size_t kept_bytes;
static const char *entry[VARIABLES];
static char own[WEIR_PATH_MAX]; /* the library, as LD_PRELOAD named it; empty: it did not */
static uid_t started_as;
static _Atomic bool remembered;

static const char *keep(const char *text)
{
	size_t bytes = strlen(text) + 1;

	if (bytes > sizeof kept - kept_bytes)
		return text;
	memcpy(kept + kept_bytes, text, bytes);
	kept_bytes += bytes;
	return kept + kept_bytes - bytes;
}

/* A name relative to the working directory of the start. */
static const char *keep_path(const char *text, size_t name)
{
	char absolute[WEIR_PATH_MAX];
	size_t bytes;

	if (text[name] == '/' || text[name] == '\0' || !weir_path_absolute(absolute, text + name))
		return keep(text);
	bytes = strlen(absolute) + 1;
	if (name + bytes > sizeof kept - kept_bytes)
		return keep(text);
	memcpy(kept + kept_bytes, text, name);
	memcpy(kept + kept_bytes + name, absolute, bytes);
	kept_bytes += name + bytes;
	return kept + kept_bytes - name - bytes;
}

size_t weir_preload_item(const char **list)
{
	size_t length = 0;

	/* Not by strspn: every process that is started is here, and its pages are touched by nobody else then. */
	while (**list == ':' || **list == ' ')
		(*list)++;
	while ((*list)[length] != '\0' && (*list)[length] != ':' && (*list)[length] != ' ')
		length++;
	return length;
}

bool weir_preload_is_own(const char *item, size_t length, const char *library)
{
	static const char file[] = "/libweir.so";
	const size_t n = sizeof file - 1;

	return (length == strlen(library) && memcmp(item, library, length) == 0) ||
	       (length >= n && memcmp(item + length - n, file, n) == 0);
}

bool weir_preload_names(const char *list, const char *library)
{
	for (size_t length; (length = weir_preload_item(&list)) > 0; list += length) {
		if (weir_preload_is_own(list, length, library))
			return true;
	}
	return false;
}

static void remember_own(const char *list)
{
	const char *name = weir_own_file();

	if (name && strlen(name) < sizeof own && weir_preload_names(list, name))
		memcpy(own, name, strlen(name) + 1);
}

static void remember_entry(const char *text)
{
	if (text[0] == 'L' && strncmp(text, "LD_PRELOAD=", 11) == 0)
		remember_own(text + 11);
	for (size_t i = 0; i < VARIABLES; i++) {
		size_t length = names[i].length;

		if (text[0] != names[i].text[0] || strncmp(text, names[i].text, length) != 0 || text[length] != '=')
			continue;
		entry[i] = i == WEIR_CONFIG ? keep_path(text, length + 1) : keep(text);
	}
}

/* Hooks may come before the constructor: whichever is first. A program that is set-user-ID gets nothing from its environment. */
static void remember(void)
{
	char **at = environ;

	kept_bytes = 0;
	if (getauxval(AT_SECURE) == 0) {
		for (size_t i = 0; at && at[i] && i < ENVIRONMENT_MAX; i++) {
			char first = at[i][0];

			if (first == 'W' || first == 'X' || first == 'H' || first == 'L')
				remember_entry(at[i]);
		}
	}
	started_as = weir_geteuid();
	atomic_store_explicit(&remembered, true, memory_order_release);
}

__attribute__((constructor)) static void remember_early(void)
{
	int saved = errno;

	if (!atomic_load_explicit(&remembered, memory_order_relaxed))
		remember();
	/* A log file may be named from the working directory. */
	if (entry[WEIR_LOG])
		weir_disabled();
	errno = saved;
}

static const char *value_of(enum variable which)
{
	const char *value;

	if (!atomic_load_explicit(&remembered, memory_order_acquire))
		remember();
	value = entry[which] ? entry[which] + names[which].length + 1 : NULL;
	return value && value[0] != '\0' ? value : NULL;
}

static bool is_on(enum variable which)
{
	const char *value = value_of(which);

	return value && strcmp(value, "0") != 0;
}

const char *weir_environment_own(void)
{
	if (!atomic_load_explicit(&remembered, memory_order_acquire))
		remember();
	return own[0] != '\0' && weir_geteuid() == started_as ? own : NULL;
}

static bool is_kept(const char *text)
{
	for (size_t i = 0; i < VARIABLES; i++) {
		size_t length = names[i].length;

		if (strncmp(text, names[i].text, length) == 0 && text[length] == '=')
			return true;
	}
	return false;
}

size_t weir_environment_merge(char *const env[], char **out, size_t room)
{
	size_t n = 0;

	value_of(HOME);
	for (size_t i = 0; i < VARIABLES; i++) {
		if (entry[i] && ++n < room)
			out[n - 1] = (char *)(uintptr_t)entry[i];
	}
	for (size_t i = 0; env && env[i] && i < ENVIRONMENT_MAX; i++) {
		if (!is_kept(env[i]) && ++n < room)
			out[n - 1] = env[i];
	}
	if (room > 0)
		out[n < room ? n : room - 1] = NULL;
	return n + 1;
}

/* glibc has it. What weir knows of a process (who calls, which libcurl that is) it knows by glibc's ways: on another C library,
 * such as musl, it loads and lets everything pass. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

static bool read_switches(void)
{
	bool disabled = is_on(WEIR_DISABLE) || !gnu_get_libc_version || weir_behind_another();
	const char *log = value_of(WEIR_LOG);

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
	const char *value = value_of(WEIR_AGENT);

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
	if (weir_idna(glob, length, hosts, sizeof hosts))
		return;
	for (size_t i = 0; i <= length; i++)
		hosts[i] = glob[i] >= 'A' && glob[i] <= 'Z' ? (char)(glob[i] - 'A' + 'a') : glob[i];
}

/* The client's name becomes part of an entry's key. */
static void read_client(const char *name, char out[WEIR_CLIENT_MAX])
{
	size_t n = 0;

	/* Of a script its own. What a program calls itself (its first argument) says less. */
	if (!name) {
		name = (const char *)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
		name = name && strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	}
	for (; name && name[n] != '\0' && n < WEIR_CLIENT_MAX - 1; n++) {
		char c = name[n];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';

		out[n] = word ? c : '_';
	}
	out[n] = '\0';
}

void weir_environment_gate(struct weir_gate *g)
{
	const char *run = value_of(WEIR_RUN), *wait = value_of(WEIR_MAX_WAIT), *glob = value_of(WEIR_HOSTS),
		   *attempts = value_of(WEIR_RETRY), *wrong;
	uint64_t n = 0;
	const char *priority = value_of(WEIR_PRIORITY);
	unsigned class;

	g->dry_run = is_on(WEIR_DRY_RUN);
	read_client(value_of(WEIR_CLIENT), g->client);
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
	if (priority && weir_class_parse(priority, &class))
		g->priority = class + 1;
	else if (priority && priority[0] != '\0')
		weir_log(WEIR_LOG_WARN, "WEIR_PRIORITY: expected high, normal or low");
	if (glob)
		read_hosts(glob);
	if (attempts && (!next_number(&attempts, '\0', WEIR_RETRY_ATTEMPTS_MAX, &n) || n == 0))
		weir_log(WEIR_LOG_WARN, "WEIR_RETRY: expected a number of attempts from 1 to %d", WEIR_RETRY_ATTEMPTS_MAX);
	else if (attempts)
		g->attempts = (uint32_t)n;
}

const char *weir_environment_summary(void)
{
	return value_of(WEIR_SUMMARY);
}

void weir_environment_read(struct weir_environment *e)
{
	e->runtime_dir = value_of(WEIR_RUNTIME_DIR);
	e->xdg_runtime_dir = value_of(XDG_RUNTIME_DIR);
	e->config = value_of(WEIR_CONFIG);
	e->xdg_config_home = value_of(XDG_CONFIG_HOME);
	e->xdg_state_home = value_of(XDG_STATE_HOME);
	e->home = value_of(HOME);
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
