/* SPDX-License-Identifier: MIT */
/* The configuration: libconfig files in, compiled rules out. For agent and CLI; may allocate, does file I/O. */
#ifndef WEIR_POLICY_H
#define WEIR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/monitor.h"
#include "weir/rule.h"
#include "weir/runtime.h"
#include "weir/segment.h"

#define WEIR_IDLE_EXIT_DEFAULT_NS UINT64_C(60000000000) /* agent = { idle_exit = "60s"; } */

/* What was found wrong, one line per finding: "FILE:LINE: hosts[2].rate.max: expected a rate such as \"5/s\", got \"fast\"". */
struct weir_findings {
	char **line;
	size_t count;
};

/* Where a value of the effective configuration comes from. */
struct weir_origin {
	char *key;    /* "defaults.breaker.failures", "hosts[api.github.com].rate.max" */
	char *value;  /* as config syntax: 5, "5000/h", [ 403, 429 ] */
	char *source; /* "FILE:LINE", or "built in" */
};

struct weir_policy {
	struct weir_rule *rules; /* the last is the defaults */
	uint32_t rule_count;
	struct weir_rule total;
	bool total_in_use;
	struct weir_alert_params *alerts; /* one for each rule; NULL: as built in (rules that were recalled) */
	struct weir_alert_actions alert_actions;
	struct weir_source sources[WEIR_SOURCES]; /* every file and directory that was looked at, absent ones too */
	uint32_t source_count;
	uint32_t left_out; /* bit per source: not read, as it is not this user's to mend; the others hold without it */
	const char *left_out_why[WEIR_SOURCES]; /* static text: "everybody may write it" */
	uint32_t left_out_owner[WEIR_SOURCES];  /* whose it is; WEIR_OWNER_UNKNOWN: not to be seen */
	struct weir_origin *origins;            /* all of defaults and total; of each host what its rule says itself */
	size_t origin_count;
	uint64_t idle_exit_ns; /* agent = { idle_exit = "60s"; } */
	uint32_t entries;      /* segment = { hosts = 1024; }, rounded up to a power of two */
};

/* Reads the files of `chain` (a directory stands for its *.conf in byte order; absent ones are skipped unless must_exist) and
 * compiles them. Returns true and *out, or false and *findings (all that were found, not the first alone); then *out holds the
 * sources alone, so that the caller can tell when they change. Free with weir_policy_free / weir_findings_free, in either case.
 */
bool weir_policy_compile(char chain[][WEIR_PATH_MAX], size_t count, bool must_exist, struct weir_policy *out,
			 struct weir_findings *findings);

/* Keeps the compiled rules (without origins) in a file, atomically; nothing is written when they are there already. Returns 0 or
 * errno. Blocks for the disk. */
int weir_policy_keep(const struct weir_policy *p, const char *path);

/* Reads them back; free with weir_policy_free. False: *why = NULL when nothing is kept, else what is wrong with the file (static
 * text): torn, another's, another version's. */
bool weir_policy_recall(const char *path, struct weir_policy *out, const char **why);

#define WEIR_OWNER_UNKNOWN UINT32_MAX
#define WEIR_LEFT_OUT_MAX  (WEIR_SOURCE_PATH_MAX + 120)

/* What there is to say of source i, if it was left out: "/etc/weir/conf.d/a.conf: left out: user 1000's: it belongs to neither
 * you nor root". False when it was not. */
bool weir_policy_left_out(const struct weir_policy *p, uint32_t i, char out[WEIR_LEFT_OUT_MAX]);

void weir_policy_free(struct weir_policy *p);
void weir_findings_free(struct weir_findings *f);

#endif
