/* SPDX-License-Identifier: MIT */
/* The subjects, by key; what is asked of each in a turn; what is said of them by hand. */
#include "weir/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "src/monitor/alarm.h"
#include "src/monitor/figures.h"

#define ROWS_FIRST 64U

struct subject {
	struct subject *next; /* of the same row */
	uint64_t hash;
	uint64_t turn; /* in which it had its last sample */
	bool sampled;  /* ever */
	struct figures figures;
	struct alarm alarm[WEIR_ALERT_KINDS];
	char key[];
};

struct silence {
	struct weir_silence told;
	char *key;
};

struct weir_monitor {
	uint64_t began_ns, turn, now_ns, wall_ns, changes;
	uint64_t fired[WEIR_ALERT_KINDS];
	weir_monitor_tell *tell;
	void *data;
	struct subject **row;
	size_t rows, subjects; /* rows: a power of two */
	struct silence silence[WEIR_SILENCES_MAX];
	size_t silences;
};

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash_of(const char *key)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3ULL;
	return hash;
}

static struct subject *find(const struct weir_monitor *m, const char *key)
{
	uint64_t hash = hash_of(key);

	for (struct subject *s = m->row[hash & (m->rows - 1)]; s != NULL; s = s->next)
		if (s->hash == hash && strcmp(s->key, key) == 0)
			return s;
	return NULL;
}

/* Twice the rows; without the memory they are longer. */
static void spread(struct weir_monitor *m)
{
	size_t rows = 2 * m->rows;
	struct subject **row = calloc(rows, sizeof *row);

	if (row == NULL)
		return;
	for (size_t i = 0; i < m->rows; i++) {
		while (m->row[i] != NULL) {
			struct subject *s = m->row[i];

			m->row[i] = s->next;
			s->next = row[s->hash & (rows - 1)];
			row[s->hash & (rows - 1)] = s;
		}
	}
	free(m->row);
	m->row = row;
	m->rows = rows;
}

static struct subject *find_or_make(struct weir_monitor *m, const char *key)
{
	struct subject *s = find(m, key);
	size_t n = strlen(key) + 1;

	if (s != NULL)
		return s;
	if (m->subjects >= m->rows)
		spread(m);
	s = calloc(1, sizeof *s + n);
	if (s == NULL)
		return NULL;
	memcpy(s->key, key, n);
	s->hash = hash_of(key);
	s->turn = m->turn;
	s->next = m->row[s->hash & (m->rows - 1)];
	m->row[s->hash & (m->rows - 1)] = s;
	m->subjects++;
	return s;
}

static void free_subject(struct subject *s)
{
	figures_free(&s->figures);
	free(s);
}

struct weir_monitor *weir_monitor_new(uint64_t now_ns)
{
	struct weir_monitor *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->began_ns = now_ns;
	m->rows = ROWS_FIRST;
	m->row = calloc(m->rows, sizeof *m->row);
	if (m->row != NULL)
		return m;
	free(m);
	return NULL;
}

void weir_monitor_free(struct weir_monitor *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->rows; i++) {
		while (m->row[i] != NULL) {
			struct subject *s = m->row[i];

			m->row[i] = s->next;
			free_subject(s);
		}
	}
	for (size_t i = 0; i < m->silences; i++)
		free(m->silence[i].key);
	free(m->row);
	free(m);
}

/* Whether who names a host means this subject: the host itself, or one of its narrowed rules, "host:port#/path". */
static bool is_meant(const char *name, const char *key)
{
	size_t n = strlen(name);

	return strncmp(name, key, n) == 0 && (key[n] == '\0' || key[n] == '#');
}

static bool is_silenced(const struct weir_monitor *m, const char *key)
{
	for (size_t i = 0; i < m->silences; i++)
		if (m->silence[i].told.until_wall_ns > m->wall_ns &&
		    (strcmp(m->silence[i].key, "*") == 0 || is_meant(m->silence[i].key, key)))
			return true;
	return false;
}

static struct weir_alert alert_of(const struct weir_monitor *m, const struct subject *s, unsigned kind)
{
	const struct alarm *a = &s->alarm[kind];

	return (struct weir_alert){.host = s->key,
				   .kind = (enum weir_alert_kind)kind,
				   .state = (enum weir_alert_state)a->state,
				   .value = a->value,
				   .limit = a->limit,
				   .worst = a->worst,
				   .since_wall_ns = a->since_wall_ns,
				   .acknowledged = a->acknowledged,
				   .silenced = is_silenced(m, s->key)};
}

static void say(struct weir_monitor *m, const struct weir_alert *alert)
{
	m->changes++;
	if (m->tell != NULL)
		m->tell(m->data, alert);
}

void weir_monitor_begin(struct weir_monitor *m, uint64_t now_ns, uint64_t wall_ns, weir_monitor_tell *tell, void *data)
{
	m->turn++;
	m->now_ns = now_ns;
	m->wall_ns = wall_ns;
	m->tell = tell;
	m->data = data;
}

bool weir_monitor_moved(const struct weir_monitor *m, const char *key, uint64_t results)
{
	const struct subject *s = find(m, key);

	return s == NULL || !s->sampled || s->figures.succeeded + s->figures.throttled + s->figures.failed != results;
}

/* What the window says of the kind. */
static uint64_t value_of(enum weir_alert_kind kind, const struct weir_monitor_sample *sample,
			 const struct weir_monitor_figures *f)
{
	uint64_t results = f->succeeded + f->throttled + f->failed;

	switch (kind) {
	case WEIR_ALERT_LATENCY:
		return f->latency.mean_ns;
	case WEIR_ALERT_ERROR_RATE:
		return results > 0 ? f->failed * 1000 / results : 0;
	case WEIR_ALERT_THROTTLED_RATE:
		return results > 0 ? f->throttled * 1000 / results : 0;
	case WEIR_ALERT_BREAKER_OPEN:
		return sample->open;
	case WEIR_ALERT_QUEUE:
		return sample->waiting;
	default:
		return sample->quota_permille;
	}
}

static enum alarm_basis basis_of(const struct weir_monitor *m, const struct alarm *a, enum weir_alert_kind kind,
				 const struct weir_alert_params *p, const struct weir_monitor_figures *f)
{
	uint64_t results = kind == WEIR_ALERT_LATENCY ? f->latency.count : f->succeeded + f->throttled + f->failed;

	if (kind > WEIR_ALERT_THROTTLED_RATE || results >= p->min_samples)
		return ALARM_ENOUGH;
	/* What fired before this monitor began is not over because little was seen since. */
	return a->restored && m->now_ns - m->began_ns < p->window_ns ? ALARM_UNKNOWN : ALARM_TOO_FEW;
}

void weir_monitor_sample(struct weir_monitor *m, const char *key, const struct weir_alert_params *params,
			 const struct weir_monitor_sample *sample)
{
	struct weir_monitor_figures f;
	struct subject *s = find_or_make(m, key);

	if (s == NULL)
		return;
	/* In its first turn what was counted before. Whoever comes later has been counted since. */
	if (!s->sampled && m->turn <= 1)
		figures_begin(&s->figures, sample);
	s->sampled = true;
	s->turn = m->turn;
	figures_note(&s->figures, sample, params->window_ns, m->now_ns);
	figures_sum(&s->figures, m->now_ns, &f);
	for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++) {
		struct alarm *a = &s->alarm[kind], before = *a;
		uint64_t value = value_of((enum weir_alert_kind)kind, sample, &f);
		enum alarm_basis basis = basis_of(m, a, (enum weir_alert_kind)kind, params, &f);
		enum alarm_change change =
			alarm_judge(a, params, (enum weir_alert_kind)kind, value, basis, m->now_ns, m->wall_ns);
		struct weir_alert alert = alert_of(m, s, kind);

		if (change == ALARM_SAME)
			continue;
		m->fired[kind] += change == ALARM_FIRED;
		if (change == ALARM_RESOLVED) {
			alert.worst = before.worst;
			alert.acknowledged = before.acknowledged;
		}
		say(m, &alert);
	}
}

static void forget(struct weir_monitor *m, struct subject *s)
{
	for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++) {
		struct weir_alert alert = alert_of(m, s, kind);

		if (alert.state != WEIR_ALERT_FIRING)
			continue;
		alert.state = WEIR_ALERT_QUIET;
		alert.gone = true;
		say(m, &alert);
	}
	free_subject(s);
	m->subjects--;
}

static void drop_silences(struct weir_monitor *m)
{
	for (size_t i = 0; i < m->silences;) {
		if (m->silence[i].told.until_wall_ns > m->wall_ns) {
			i++;
			continue;
		}
		free(m->silence[i].key);
		m->silence[i] = m->silence[--m->silences];
		m->changes++;
	}
}

void weir_monitor_end(struct weir_monitor *m)
{
	for (size_t i = 0; i < m->rows; i++) {
		for (struct subject **at = &m->row[i]; *at != NULL;) {
			struct subject *s = *at;

			if (s->turn == m->turn) {
				at = &s->next;
				continue;
			}
			*at = s->next;
			forget(m, s);
		}
	}
	drop_silences(m);
	m->tell = NULL;
}

bool weir_monitor_figures(const struct weir_monitor *m, const char *key, uint64_t now_ns, struct weir_monitor_figures *out)
{
	const struct subject *s = find(m, key);

	memset(out, 0, sizeof *out);
	if (s == NULL || !s->sampled)
		return false;
	figures_sum(&s->figures, now_ns, out);
	return true;
}

static int firing_first(const void *x, const void *y)
{
	const struct weir_alert *a = x, *b = y;
	int order;

	if (a->state != b->state)
		return a->state == WEIR_ALERT_FIRING ? -1 : 1;
	order = strcmp(a->host, b->host);
	return order != 0 ? order : (int)a->kind - (int)b->kind;
}

size_t weir_monitor_alerts(const struct weir_monitor *m, struct weir_alert *out, size_t room)
{
	size_t count = 0;

	/* Those that fire in any case, whatever room there is. */
	for (unsigned state = WEIR_ALERT_FIRING; state >= WEIR_ALERT_PENDING; state--)
		for (size_t i = 0; i < m->rows; i++)
			for (const struct subject *s = m->row[i]; s != NULL; s = s->next)
				for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++) {
					if (s->alarm[kind].state != state)
						continue;
					if (count < room)
						out[count] = alert_of(m, s, kind);
					count++;
				}
	if (count > 0 && room > 0)
		qsort(out, count < room ? count : room, sizeof *out, firing_first);
	return count;
}

bool weir_monitor_fires(const struct weir_monitor *m, bool passing)
{
	for (size_t i = 0; i < m->rows; i++)
		for (const struct subject *s = m->row[i]; s != NULL; s = s->next)
			for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++)
				if (s->alarm[kind].state == WEIR_ALERT_FIRING && !(passing && kind == WEIR_ALERT_QUOTA))
					return true;
	return false;
}

uint64_t weir_monitor_fired(const struct weir_monitor *m, enum weir_alert_kind kind)
{
	return kind < WEIR_ALERT_KINDS ? m->fired[kind] : 0;
}

enum weir_monitor_health weir_monitor_health(const struct weir_monitor *m)
{
	enum weir_monitor_health health = WEIR_MONITOR_HEALTHY;

	for (size_t i = 0; i < m->rows; i++)
		for (const struct subject *s = m->row[i]; s != NULL; s = s->next)
			for (unsigned kind = 0; kind < WEIR_ALERT_KINDS; kind++) {
				if (s->alarm[kind].state != WEIR_ALERT_FIRING || is_silenced(m, s->key))
					continue;
				if (kind == WEIR_ALERT_BREAKER_OPEN || kind == WEIR_ALERT_ERROR_RATE)
					return WEIR_MONITOR_UNHEALTHY;
				health = WEIR_MONITOR_DEGRADED;
			}
	return health;
}

static size_t acknowledge(struct subject *s, enum weir_alert_kind kind)
{
	size_t count = 0;

	for (unsigned k = 0; k < WEIR_ALERT_KINDS; k++) {
		if (s->alarm[k].state != WEIR_ALERT_FIRING || (kind != WEIR_ALERT_KINDS && kind != k))
			continue;
		s->alarm[k].acknowledged = true;
		count++;
	}
	return count;
}

size_t weir_monitor_acknowledge(struct weir_monitor *m, const char *key, enum weir_alert_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < m->rows; i++)
		for (struct subject *s = m->row[i]; s != NULL; s = s->next)
			if (is_meant(key, s->key))
				count += acknowledge(s, kind);
	m->changes += count > 0;
	return count;
}

bool weir_monitor_silence(struct weir_monitor *m, const char *key, uint64_t until_wall_ns, uint64_t wall_ns)
{
	size_t i = 0;
	char *copy;

	m->wall_ns = wall_ns;
	m->changes++;
	while (i < m->silences && strcmp(m->silence[i].key, key) != 0)
		i++;
	if (i < m->silences) {
		m->silence[i].told.until_wall_ns = until_wall_ns;
		drop_silences(m);
		return true;
	}
	drop_silences(m);
	if (until_wall_ns <= wall_ns)
		return true;
	copy = m->silences < WEIR_SILENCES_MAX ? strdup(key) : NULL;
	if (copy == NULL)
		return false;
	m->silence[m->silences].key = copy;
	m->silence[m->silences++].told = (struct weir_silence){.host = copy, .until_wall_ns = until_wall_ns};
	return true;
}

const struct weir_silence *weir_monitor_silence_at(const struct weir_monitor *m, size_t i)
{
	return i < m->silences ? &m->silence[i].told : NULL;
}

void weir_monitor_restore(struct weir_monitor *m, const char *key, enum weir_alert_kind kind, uint64_t since_wall_ns,
			  uint64_t worst, bool acknowledged)
{
	struct subject *s = kind < WEIR_ALERT_KINDS ? find_or_make(m, key) : NULL;

	if (s == NULL)
		return;
	s->alarm[kind] = (struct alarm){.state = WEIR_ALERT_FIRING,
					.acknowledged = acknowledged,
					.restored = true,
					.worst = worst,
					.value = worst,
					.since_ns = m->began_ns,
					.since_wall_ns = since_wall_ns};
}

uint64_t weir_monitor_changes(const struct weir_monitor *m)
{
	return m->changes;
}
