/* SPDX-License-Identifier: MIT */
#include "src/cli/waits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/stats/run_summary.h"
#include "src/stats/spelling.h"
#include "weir/gate.h"
#include "weir/log.h"
#include "weir/units.h"

#define AT_ONCE 64
#define SOON_NS UINT64_C(750000000) /* somewhat more than from one look to the next (attend.c) */
/* The line is drawn from where the cursor stands, which is put back there: what the command writes meanwhile goes over it, and
 * nothing of that is ever erased. It is cut at the margin: the next row is not ours. */
#define ERASE "\033[K"
#define DRAW  "\033[?7l\0337" ERASE
#define DRAWN "\0338\033[?7h"

bool weir_waits_begin(struct weir_waits *s, const char *segment, const char *variable)
{
	const char *why;
	int err;
	memset(s, 0, sizeof *s);
	s->variable = variable;
	return weir_segment_open(&s->segment, segment, false, NULL, &why, &err) == WEIR_SEGMENT_OK;
}

static bool is_ours(struct weir_waits *s, uint32_t pid)
{
	for (size_t i = 0; i < s->known_count; i++)
		if (s->known[i].pid == pid)
			return s->known[i].ours;
	if (s->known_count == WEIR_WAITS_PIDS)
		s->known_count = 0;
	s->known[s->known_count].pid = pid;
	return s->known[s->known_count++].ours = weir_run_process((pid_t)pid, s->variable);
}

static bool is_told(const struct weir_waits *s, uint32_t slot)
{
	for (size_t i = 0; i < s->told_count; i++)
		if (s->told[i] == slot)
			return true;
	return false;
}

static struct weir_waits_host *host_of(struct weir_waits_host *host, size_t *hosts, uint32_t slot)
{
	for (size_t i = 0; i < *hosts; i++)
		if (host[i].slot == slot)
			return &host[i];
	if (*hosts == WEIR_WAITS_HOSTS)
		return NULL;
	host[*hosts] = (struct weir_waits_host){.slot = slot};
	return &host[(*hosts)++];
}

static void take(struct weir_waits_host *h, const struct weir_underway *u, uint64_t now_ns)
{
	uint64_t until = u->until_ns > now_ns && u->until_ns != WEIR_NEVER ? u->until_ns : 0;
	h->requests++;
	h->is_long = h->is_long || (until ? until - now_ns > WEIR_LONG_WAIT_NS : u->begun_ns + WEIR_LONG_WAIT_NS < now_ns);
	if (h->requests == 1 || (until && (!h->next_ns || until < h->next_ns))) {
		h->next_ns = until;
		h->cause = u->cause;
	}
	if (h->requests == 1 || u->begun_ns < h->since_ns)
		h->since_ns = u->begun_ns;
}

/* The hosts at which this run waits, if one of its waits is long or has been told of. */
static size_t find(struct weir_waits *s, struct weir_waits_host host[WEIR_WAITS_HOSTS], uint64_t now_ns)
{
	struct weir_underway underway[AT_ONCE];
	struct weir_owner self;
	uint32_t next = 0;
	size_t hosts = 0, kept = 0;
	weir_owner_self(&self);
	for (size_t n; (n = weir_lease_list(&s->segment, &next, underway, AT_ONCE)) > 0;) {
		for (size_t i = 0; i < n; i++) {
			const struct weir_underway *u = &underway[i];
			if (!u->waiting || u->slot == WEIR_NONE || u->pid_namespace != self.pid_namespace || !is_ours(s, u->pid))
				continue;
			struct weir_waits_host *h = host_of(host, &hosts, u->slot);
			if (h)
				take(h, u, now_ns);
		}
	}
	for (size_t i = 0; i < hosts; i++)
		if (host[i].is_long || is_told(s, host[i].slot))
			host[kept++] = host[i];
	return kept;
}

/* "weir: HOST: waits 42s, until 18:03:12: REASON" as announced, "... waits 41s more: REASON" in the countdown. */
static size_t describe(const struct weir_waits *s, const struct weir_waits_host *h, uint64_t now_ns, bool announced, char *out)
{
	char key[WEIR_KEY_MAX], spelled[WEIR_SPELLING_MAX], span[32], clock[16] = "", who[48] = "waits";
	if (!weir_entry_key(&s->segment, h->slot, key))
		return 0;
	weir_spell(key, spelled);
	if (h->requests > 1)
		snprintf(who, sizeof who, "%u requests wait%s", h->requests, h->next_ns ? ", the next" : "");
	/* Whole seconds, as the line is written anew each of them. */
	uint64_t left = h->next_ns > now_ns ? h->next_ns - now_ns : 0, since = now_ns > h->since_ns ? now_ns - h->since_ns : 0;
	uint64_t shown = h->next_ns ? left + 999999999U : since;
	weir_print_duration(shown / 1000000000U * 1000000000U, span, sizeof span);
	if (!h->next_ns)
		return weir_format(out, WEIR_WAITS_TEXT_MAX, "weir: %s: %s, for %s so far: %s", spelled, who, span,
				   weir_cause_text(h->cause));
	time_t end = (time_t)((weir_wall_ns() + left) / 1000000000U);
	struct tm tm;
	if (announced && localtime_r(&end, &tm))
		strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	return weir_format(out, WEIR_WAITS_TEXT_MAX, "weir: %s: %s %s%s%s: %s", spelled, who, span,
			   announced ? ", until " : " more", clock, weir_cause_text(h->cause));
}

static void announce(struct weir_waits *s, const struct weir_waits_host *h, uint64_t now_ns)
{
	char text[sizeof ERASE + WEIR_WAITS_TEXT_MAX];
	size_t begin = s->line[0] ? sizeof ERASE - 1 : 0, n = describe(s, h, now_ns, true, text + begin);
	if (n == 0)
		return;
	memcpy(text, ERASE, begin);
	weir_make_printable(text + begin, n);
	text[begin + n] = '\n';
	weir_log_stderr(text, begin + n + 1);
	s->line[0] = '\0';
}

static void count_down(struct weir_waits *s, const struct weir_waits_host *h, uint64_t now_ns)
{
	char line[WEIR_WAITS_TEXT_MAX], text[sizeof DRAW + WEIR_WAITS_TEXT_MAX + sizeof DRAWN];
	const char *term = getenv("TERM");
	size_t n = describe(s, h, now_ns, false, line);
	if (n == 0 || !term || !term[0] || strcmp(term, "dumb") == 0)
		return;
	weir_make_printable(line, n);
	if (strcmp(line, s->line) == 0)
		return;
	memcpy(s->line, line, n + 1);
	n = weir_format(text, sizeof text, "%s%s%s", DRAW, line, DRAWN);
	weir_log_stderr(text, n);
}

/* A shell with jobs of its own may have given the terminal to one of them. */
static bool is_foreground(void)
{
	return tcgetpgrp(STDERR_FILENO) == getpgrp();
}

/* Who has waited writes: by then the line must be gone, or what is written leaves the rest of it. */
static bool ends_soon(const struct weir_waits_host *host, size_t hosts, uint64_t now_ns)
{
	for (size_t i = 0; i < hosts; i++)
		if (host[i].next_ns && host[i].next_ns < now_ns + SOON_NS)
			return true;
	return false;
}

void weir_waits_look(struct weir_waits *s)
{
	struct weir_waits_host host[WEIR_WAITS_HOSTS];
	uint64_t now_ns = weir_now_ns();
	if (!is_foreground())
		return;
	size_t hosts = find(s, host, now_ns), most = 0;
	for (size_t i = 0; i < hosts; i++) {
		if (!is_told(s, host[i].slot))
			announce(s, &host[i], now_ns);
		if (host[i].requests > host[most].requests)
			most = i;
	}
	s->told_count = hosts;
	for (size_t i = 0; i < hosts; i++)
		s->told[i] = host[i].slot;
	if (hosts > 0 && !ends_soon(host, hosts, now_ns))
		count_down(s, &host[most], now_ns);
	else
		weir_waits_end(s);
}

void weir_waits_end(struct weir_waits *s)
{
	if (s->line[0] && is_foreground())
		weir_log_stderr(ERASE, sizeof ERASE - 1);
	s->line[0] = '\0';
}
