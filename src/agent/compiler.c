/* SPDX-License-Identifier: MIT */
#include "src/agent/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "weir/quotas.h"
#include "weir/gate.h"
#include "weir/log.h"

/* A file that has become less is believed after so long without a change: editors need milliseconds between truncating and
 * writing, scripts that write piece by piece some more. */
#define REST_NS    UINT64_C(1000000000)
#define READ_TRIES 5

/* Between the pieces of a save that is under way. Less than a program waits for a fresh policy at its start (250 ms). */
#define PAUSE_NS UINT64_C(100000000)

/* One file for each chain, by FNV-1a over its paths. What cannot be used is set aside, where somebody can look at it. */
static void recall(struct weir_compiler *c, const struct weir_environment *e)
{
	char directory[WEIR_PATH_MAX], aside[WEIR_PATH_MAX + 8];
	uint64_t hash = 0xcbf29ce484222325ULL;
	int err = 0;
	const char *why = weir_state_directory(e, directory, &err);
	if (why) {
		weir_log(WEIR_LOG_WARN, "policy: %s: %s (errno %d); the last good one is not kept over a reboot", directory, why,
			 err);
		return;
	}
	for (size_t i = 0; i < c->chain_count; i++)
		for (const char *p = c->chain[i];; p++) {
			hash = (hash ^ (unsigned char)*p) * 0x100000001b3ULL;
			if (*p == '\0')
				break;
		}
	if (weir_format(c->kept, sizeof c->kept, "%s/policy.%016llx", directory, (unsigned long long)hash) >=
	    sizeof c->kept - 1) {
		c->kept[0] = '\0';
		return;
	}
	c->compiled = weir_policy_recall(c->kept, &c->policy, &why);
	if (!why)
		return;
	snprintf(aside, sizeof aside, "%s.bad", c->kept);
	weir_log(WEIR_LOG_WARN, "policy: %s: %s; it is not used, and set aside as %s", c->kept, why, aside);
	if (rename(c->kept, aside) != 0)
		c->kept[0] = '\0';
}

void weir_compiler_init(struct weir_compiler *c, const struct weir_environment *e)
{
	memset(c, 0, sizeof *c);
	c->chain_count = weir_config_chain(e, c->chain);
	c->must_exist = e->config && e->config[0];
	recall(c, e);
}

/* Where the policy module could not say what it looked at, the chain itself is what a change must be looked for in. */
static void stamp_chain(struct weir_compiler *c)
{
	c->source_count = 0;
	for (size_t i = 0; i < c->chain_count && c->source_count < WEIR_SOURCES; i++)
		if (weir_source_stat(&c->sources[c->source_count], c->chain[i]))
			c->source_count++;
}

static uint64_t wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Whether a file is less than it was when it was believed: what editors that truncate, or remove, and then write make of it. */
static bool is_less(const struct weir_source *then, const struct weir_policy *fresh)
{
	struct stat st;
	if (then->inode == 0 || then->size_bytes == 0 || (stat(then->path, &st) == 0 && S_ISDIR(st.st_mode)))
		return false;
	for (uint32_t i = 0; i < fresh->source_count; i++)
		if (strcmp(fresh->sources[i].path, then->path) == 0)
			return fresh->sources[i].inode == 0 || fresh->sources[i].size_bytes < then->size_bytes;
	return true;
}

/* When a path was last changed, as its file or, without one, its directory tells. */
static uint64_t changed_ns(const char *path)
{
	struct weir_source now;
	char directory[WEIR_SOURCE_PATH_MAX];
	if (weir_source_stat(&now, path) && now.inode)
		return now.ctime_ns;
	weir_format(directory, sizeof directory, "%s", path);
	char *slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	return weir_source_stat(&now, directory) ? now.ctime_ns : 0;
}

uint64_t weir_compiler_rests_in_ns(struct weir_compiler *c, uint64_t now_ns)
{
	uint64_t wall = wall_ns(), rests_in_ns = 0;
	for (uint32_t i = 0; c->published_ns && c->compiled && i < c->policy.source_count; i++) {
		const struct weir_source *then = &c->policy.sources[i];
		struct weir_source now;
		if (!weir_source_stat(&now, then->path) || now.inode == 0 || memcmp(&now, then, sizeof now) == 0 ||
		    now.ctime_ns > wall || wall - now.ctime_ns >= PAUSE_NS)
			continue;
		uint64_t left_ns = PAUSE_NS - (wall - now.ctime_ns);
		rests_in_ns = left_ns > rests_in_ns ? left_ns : rests_in_ns;
	}
	if (rests_in_ns == 0)
		c->changing_ns = 0;
	else if (c->changing_ns == 0)
		c->changing_ns = now_ns;
	else if (now_ns - c->changing_ns >= REST_NS)
		return 0;
	return rests_in_ns;
}

static bool same_sources(const struct weir_compiler *c, const struct weir_policy *fresh)
{
	return c->source_count == fresh->source_count &&
	       memcmp(c->sources, fresh->sources, fresh->source_count * sizeof *fresh->sources) == 0;
}

/* Whether something is less than it was, and has not been so for long. */
static bool on_their_way(struct weir_compiler *c, const struct weir_policy *fresh)
{
	uint64_t now_ns = weir_now_ns(), wall = wall_ns();
	bool waited = c->unrested && same_sources(c, fresh) && now_ns - c->unrested_ns >= REST_NS;
	for (uint32_t i = 0; c->compiled && !waited && i < c->policy.source_count; i++) {
		const struct weir_source *then = &c->policy.sources[i];
		uint64_t changed;
		if (!is_less(then, fresh))
			continue;
		changed = changed_ns(then->path);
		if (changed > wall || wall - changed < REST_NS)
			return true;
	}
	return false;
}

static bool still_as_read(const struct weir_policy *fresh)
{
	for (uint32_t i = 0; i < fresh->source_count; i++) {
		struct weir_source now;
		if (!weir_source_stat(&now, fresh->sources[i].path) || memcmp(&now, &fresh->sources[i], sizeof now) != 0)
			return false;
	}
	return true;
}

static void put_off(struct weir_compiler *c, const struct weir_policy *fresh)
{
	c->unrested_before = c->unrested && same_sources(c, fresh);
	if (!c->unrested_before)
		c->unrested_ns = weir_now_ns();
	c->unrested = true;
}

static void take_sources(struct weir_compiler *c, const struct weir_policy *fresh)
{
	if (fresh->source_count > 0 && fresh->source_count <= WEIR_SOURCES) {
		memcpy(c->sources, fresh->sources, sizeof c->sources);
		c->source_count = fresh->source_count;
	} else {
		stamp_chain(c);
	}
}

bool weir_compiler_read(struct weir_compiler *c)
{
	const struct timespec moment = {0, 10000000};
	struct weir_policy fresh;
	struct weir_findings findings;
	bool accepted, still;
	for (int tries = 0;; tries++) {
		memset(&fresh, 0, sizeof fresh);
		memset(&findings, 0, sizeof findings);
		accepted = weir_policy_compile(c->chain, c->chain_count, c->must_exist, &fresh, &findings);
		still = still_as_read(&fresh);
		if (still || tries == READ_TRIES)
			break;
		weir_policy_free(&fresh);
		weir_findings_free(&findings);
		nanosleep(&moment, NULL);
	}
	bool later = on_their_way(c, &fresh);
	if (later)
		put_off(c, &fresh);
	else
		c->unrested = c->unrested_before = false;
	take_sources(c, &fresh);
	if (later) {
		weir_policy_free(&fresh);
		weir_findings_free(&findings);
		return false;
	}
	weir_findings_free(&c->findings);
	c->findings = findings;
	if (!accepted) {
		weir_policy_free(&fresh);
		return false;
	}
	if (c->compiled)
		weir_policy_free(&c->policy);
	c->policy = fresh;
	c->compiled = true;
	return true;
}

/* The rules that stay when the files were refused: those in force, else the last good ones, else the built-in defaults. The half
 * in force is copied because publishing may write over the half that a view points into. */
static void publish_as_before(struct weir_compiler *c, const struct weir_segment *s, bool rejected)
{
	struct weir_policy_view view = weir_policy_in_force(s);
	struct weir_rule defaults, total;
	struct weir_rule *rules = NULL;
	uint32_t count = 0;
	bool total_in_use = false;
	if (view.rules && view.rule_count > 0)
		rules = calloc(view.rule_count, sizeof *rules);
	if (rules) {
		count = view.rule_count;
		memcpy(rules, view.rules, count * sizeof *rules);
		weir_zones_renew(rules, count, wall_ns() / 1000000000U);
		if (view.total) {
			total = *view.total;
			total_in_use = true;
		}
	}
	weir_rule_defaults(&defaults);
	if (!view.rules && c->compiled && c->policy.rule_count <= s->rules) {
		weir_zones_renew(c->policy.rules, c->policy.rule_count, wall_ns() / 1000000000U);
		weir_policy_publish(s, c->policy.rules, c->policy.rule_count, c->policy.total_in_use ? &c->policy.total : NULL,
				    c->sources, c->source_count, rejected, wall_ns());
		return;
	}
	weir_policy_publish(s, rules ? rules : &defaults, rules ? count : 1, total_in_use ? &total : NULL, c->sources,
			    c->source_count, rejected, wall_ns());
	free(rules);
}

void weir_compiler_publish(struct weir_compiler *c, const struct weir_segment *s, uint64_t now_ns)
{
	bool rejected = c->findings.count > 0 || !c->compiled;
	if (c->unrested) {
		/* With the stamps of now, so that nobody waits for what is not believed yet. */
		if (c->unrested_before)
			weir_policy_confirm(s);
		else
			publish_as_before(c, s, rejected);
		c->published_ns = now_ns;
		return;
	}
	if (!rejected && c->policy.rule_count > s->rules) {
		weir_log(WEIR_LOG_ERROR, "policy: %u rules, but the segment has room for %u", c->policy.rule_count, s->rules);
		rejected = true;
	}
	if (rejected)
		publish_as_before(c, s, true);
	else
		weir_policy_publish(s, c->policy.rules, c->policy.rule_count, c->policy.total_in_use ? &c->policy.total : NULL,
				    c->sources, c->source_count, false, wall_ns());
	c->published_ns = now_ns;
	weir_gate_refresh(s, now_ns);

	uint64_t generation = weir_policy_in_force(s).generation;
	weir_event_write(s, rejected ? WEIR_EVENT_POLICY_REJECTED : WEIR_EVENT_POLICY_PUBLISHED, WEIR_CAUSE_POLICY, NULL, 0,
			 generation, 0, now_ns);
	for (uint32_t i = 0; !rejected && i < c->policy.source_count; i++) {
		char text[WEIR_LEFT_OUT_MAX];
		if (weir_policy_left_out(&c->policy, i, text))
			weir_log(WEIR_LOG_WARN, "policy: %s", text);
	}
	if (!rejected) {
		int err = c->kept[0] ? weir_policy_keep(&c->policy, c->kept) : 0;
		if (err)
			weir_log(WEIR_LOG_WARN, "policy: %s: %s; it is not kept over a reboot", c->kept, strerror(err));
		weir_log(WEIR_LOG_INFO, "policy: generation %llu, %u rules", (unsigned long long)generation,
			 c->policy.rule_count);
		return;
	}
	weir_log(WEIR_LOG_ERROR, "policy: the configuration was refused, the rules before it stay in force (generation %llu)",
		 (unsigned long long)generation);
	for (size_t i = 0; i < c->findings.count; i++)
		weir_log(WEIR_LOG_ERROR, "policy: %s", c->findings.line[i]);
}

bool weir_compiler_renew_zones(struct weir_compiler *c)
{
	uint64_t wall_s = wall_ns() / 1000000000U;
	return c->compiled && weir_zones_due(c->policy.rules, c->policy.rule_count, wall_s) &&
	       weir_zones_renew(c->policy.rules, c->policy.rule_count, wall_s);
}

void weir_compiler_free(struct weir_compiler *c)
{
	weir_findings_free(&c->findings);
	if (c->compiled)
		weir_policy_free(&c->policy);
	memset(c, 0, sizeof *c);
}
