/* SPDX-License-Identifier: MIT */
/*
 * What the steps of one compilation share. In order:
 *
 *   chain.c     which files there are, in order, and what they were when they were read (sources)
 *   document.c  reads one: owner, mode, size; scan.c goes through its raw text; libconfig parses it
 *   section.c   takes defaults, total and each rule of hosts over into drafts, with the help of setting.c, field.c, value.c,
 *               profile.c, quota.c, allowance.c, alerts.c, zone.c, match.c and
 *               narrow.c
 *   check.c     looks at what only shows when everything has been said (min above max, fixed without max)
 *   origin.c    says where each value comes from
 *
 * Nothing stops at the first mistake: each step reports what it finds (finding.c) and goes on.
 */
#ifndef WEIR_POLICY_COMPILATION_H
#define WEIR_POLICY_COMPILATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libconfig.h>

#include "weir/monitor.h"
#include "weir/policy.h"
#include "weir/profile.h"

#define WEIR_CONF_BYTES_MAX (1024U * 1024U)
#define WEIR_HOSTS_MAX      (WEIR_RULES_DEFAULT - 1) /* the last rule is the defaults */

/* Where something is said. document counts from 1; 0: nowhere, it is built in. line 0: the file as a whole. */
struct weir_place {
	uint32_t document;
	uint32_t line;
};

struct weir_document {
	char path[WEIR_SOURCE_PATH_MAX];
	config_t config;
	bool parsed;    /* config holds the file's settings */
	char *literals; /* its strings and numbers (setting.h); config's integers are offsets in it */
	size_t literal_bytes;
};

struct weir_finding {
	struct weir_place at;
	char *text;
};

/* The keys of a rule, in the order in which they are shown. */
enum weir_field_id {
	WEIR_FIELD_EXEMPT,
	WEIR_FIELD_THROTTLE_STATUS,
	WEIR_FIELD_RATE, /* whether the rate is limited at all */
	WEIR_FIELD_STRATEGY,
	WEIR_FIELD_RATE_MIN,
	WEIR_FIELD_RATE_MAX,
	WEIR_FIELD_RATE_INITIAL,
	WEIR_FIELD_BURST,
	WEIR_FIELD_BACKOFF,
	WEIR_FIELD_RECOVERY,
	WEIR_FIELD_RATE_SUCCESSES,
	WEIR_FIELD_RATE_ERRORS,
	WEIR_FIELD_INTERVAL,
	WEIR_FIELD_RATES,
	WEIR_FIELD_ALLOWANCES, /* `quotas` */
	WEIR_FIELD_SPREAD,
	WEIR_FIELD_MODE,
	WEIR_FIELD_CONCURRENCY_MAX,
	WEIR_FIELD_CONCURRENCY_MIN,
	WEIR_FIELD_CONCURRENCY_INITIAL,
	WEIR_FIELD_FAILURES,
	WEIR_FIELD_FAILURE_RATE,
	WEIR_FIELD_SLOW_RATE,
	WEIR_FIELD_SLOW_CALL,
	WEIR_FIELD_WINDOW,
	WEIR_FIELD_MIN_CALLS,
	WEIR_FIELD_PROBE_SUCCESSES,
	WEIR_FIELD_OPEN_TIME,
	WEIR_FIELD_OPEN_TIME_MAX,
	WEIR_FIELD_OPEN_TIME_FACTOR,
	WEIR_FIELD_JITTER,
	WEIR_FIELD_PROBE_TIMEOUT,
	WEIR_FIELD_RAMP,
	WEIR_FIELD_GRACE,
	WEIR_FIELD_BREAKER_MODE,
	WEIR_FIELD_WAIT_MAX,
	WEIR_FIELD_HOLD_MAX,
	WEIR_FIELD_PRIORITY,
	WEIR_FIELD_QUEUE_MAX,
	WEIR_FIELD_SHARE_NORMAL,
	WEIR_FIELD_SHARE_LOW,
	WEIR_FIELD_DEGRADE_QUEUE,
	WEIR_FIELD_DEGRADE_LATENCY,
	WEIR_FIELD_DEGRADE_ERRORS,
	WEIR_FIELD_DEGRADE_QUOTA,
	WEIR_FIELD_DEGRADE_STEP,
	WEIR_FIELD_DEGRADE_RECOVERY,
	WEIR_FIELD_RETRY_ATTEMPTS,
	WEIR_FIELD_RETRY_ON,
	WEIR_FIELD_RETRY_METHODS,
	WEIR_FIELD_RETRY_BUDGET,
	WEIR_FIELD_RETRY_BASE,
	WEIR_FIELD_RETRY_CAP,
	WEIR_FIELD_CLIENT_RATE,
	WEIR_FIELD_CLIENT_BURST,
	WEIR_FIELD_CLIENT_CONCURRENCY,
	WEIR_FIELDS
};

#define WEIR_PROVENANCE_MAX 160

/* The keys of `alerts`: those of a rule, and those of the top level (alerts.h). */
#define WEIR_ALERT_PARAMETERS (WEIR_ALERT_KINDS + 4)
#define WEIR_ALERT_KEYS       (WEIR_ALERT_PARAMETERS + 3)

/* A rule under construction. */
struct weir_draft {
	struct weir_rule rule;
	char path[32]; /* "defaults", "total", "hosts[2]" */
	struct weir_place at;
	struct weir_place group_at;
	enum weir_profile profile; /* whose thresholds it began with */
	struct weir_place profile_at;
	char source[WEIR_PROVENANCE_MAX];      /* where its limits are published; empty: not said */
	char verified_on[WEIR_PROVENANCE_MAX]; /* when somebody last compared, "2026-11-27"; empty: not said */
	struct weir_place source_at, verified_at;
	struct weir_alert_params alerts;
	uint32_t alerts_said; /* bit per key */
	struct weir_place alerts_from[WEIR_ALERT_KEYS];
	bool hidden;   /* a later file has a rule for the same match */
	uint64_t said; /* bit per field: said here and not inherited */
	struct weir_place from[WEIR_FIELDS];
};
_Static_assert(WEIR_FIELDS <= 64, "one bit each");

struct weir_compilation {
	struct weir_document document[WEIR_SOURCES]; /* in order of reading; directories and absent files too */
	size_t documents;
	struct weir_finding *finding;
	size_t findings, findings_room;
	bool out_of_memory;
	bool named;        /* the chain is one file that somebody asked for */
	uint32_t left_out; /* bit per document */
	const char *left_out_why[WEIR_SOURCES];
	uint32_t left_out_owner[WEIR_SOURCES];
	struct weir_draft defaults, total;
	struct weir_draft *host; /* WEIR_HOSTS_MAX of them, in order of precedence */
	size_t hosts;
	struct weir_alert_actions alert_actions;
	uint64_t idle_exit_ns;
	uint64_t entries;
	struct weir_place idle_exit_from, entries_from;
};

/* finding.c: notes that something is wrong at a place; key may be NULL. */
void weir_finding_add(struct weir_compilation *c, struct weir_place at, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* finding.c: hands all findings over, by file and line, as text. */
void weir_findings_hand_over(struct weir_compilation *c, struct weir_findings *out);

/* chain.c: fills document[].path and the sources of *out. */
void weir_chain_collect(struct weir_compilation *c, char chain[][WEIR_PATH_MAX], size_t count, bool must_exist,
			struct weir_policy *out, bool is_file[WEIR_SOURCES]);

/* chain.c: leaves a document out that is not this user's to mend, so that the others hold. False where it is his own or the one
 * that he has named: then it is a finding. why: static text. */
bool weir_chain_leave_out(struct weir_compilation *c, uint32_t document, uint32_t owner, const char *why);

/* chain.c: whose the path is; WEIR_OWNER_UNKNOWN when that cannot be seen. */
uint32_t weir_chain_owner(const char *path);

/* chain.c: reports a file or directory that others than its user and root can change. Returns whether it may be read. */
struct stat;
bool weir_chain_trusts(struct weir_compilation *c, uint32_t document, const struct stat *st);

/* document.c: reads and parses document `number` (from 1). */
void weir_document_load(struct weir_compilation *c, uint32_t number);

/* document.c: frees what was read of it. */
void weir_document_free(struct weir_document *d);

/* scan.c: goes through a file's raw text, takes out its literals, and returns the rest (to be freed) with the offset of each
 * literal in its place; or NULL after reporting what is wrong with it. */
char *weir_scan(struct weir_compilation *c, uint32_t document, const char *text, size_t length);

/* section.c: takes over defaults, total, agent and segment of a document. */
void weir_section_globals(struct weir_compilation *c, uint32_t document);

/* section.c: appends the rules of a document's `hosts`; the defaults must be complete. */
void weir_section_hosts(struct weir_compilation *c, uint32_t document);

/* profile.c: takes all thresholds over from `profile`. */
struct weir_setting;
void weir_profile_read(struct weir_draft *d, const struct weir_setting *s);

/* provenance.c: reads `source` or `verified_on`, which change no limit. */
void weir_provenance_read(struct weir_draft *d, const struct weir_setting *s, bool date);

/* check.c: what only shows when a draft is complete. Brings inherited bounds in line with what is said here. */
void weir_check_draft(struct weir_compilation *c, struct weir_draft *d);

/* section.c: drops the rules that are hidden by others, once all are in. */
void weir_section_drop_hidden(struct weir_compilation *c);

/* narrow.c: puts narrowed rules behind those of their hosts. */
void weir_narrow_arrange(struct weir_compilation *c);

/* check.c: rules that share a group must agree. */
void weir_check_groups(struct weir_compilation *c);

/* origin.c: fills the origins of *out. */
void weir_origin_list(struct weir_compilation *c, struct weir_policy *out);

#endif
