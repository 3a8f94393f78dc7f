#include "tests/server/quota.h"

#include <string.h>

#include "tests/server/clock.h"

/* A request that is rejected on demand, with no limit to name a time. */
#define DEFAULT_RETRY_NS NS_PER_S

/* FNV-1a over who asks and the first part of the path. */
static uint64_t partition_key(const char *credential, const char *path)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; credential != NULL && *credential != '\0'; credential++)
		h = (h ^ (unsigned char)*credential) * UINT64_C(0x100000001b3);
	h = (h ^ ' ') * UINT64_C(0x100000001b3);
	for (size_t i = 1; path[0] == '/' && path[i] != '\0' && path[i] != '/'; i++)
		h = (h ^ (unsigned char)path[i]) * UINT64_C(0x100000001b3);
	return h | 1;
}

static void choose_window(struct quota *q, const char *path, const char *credential, int64_t now_ns)
{
	uint64_t key = partition_key(credential, path);

	q->current = &q->window;
	for (size_t i = 0; q->settings.apart && i < QUOTA_PARTITIONS; i++) {
		struct partition *p = &q->partition[i];

		if (p->key == 0) {
			p->key = key;
			fixed_window_start(&p->window, &q->settings.window, now_ns, now_ns + q->wall_offset_ns);
		}
		if (p->key == key) {
			q->current = &p->window;
			return;
		}
	}
}

static void refill_everything(struct quota *q)
{
	int64_t now_ns = monotonic_ns();

	bucket_fill(&q->bucket, &q->settings.bucket, now_ns);
	fixed_window_start(&q->window, &q->settings.window, now_ns, now_ns + q->wall_offset_ns);
	memset(q->partition, 0, sizeof q->partition);
	q->current = &q->window;
	slots_clear(&q->slots);
	q->random.state = (uint64_t)q->settings.seed;
}

int quota_open(struct quota *q, const struct quota_settings *settings)
{
	memset(q, 0, sizeof *q);
	if (journal_open(&q->journal) != 0)
		return -1;
	pthread_mutex_init(&q->mutex, NULL);
	q->settings = *settings;
	q->wall_offset_ns = wall_ns() - monotonic_ns();
	refill_everything(q);
	return 0;
}

void quota_close(struct quota *q)
{
	journal_close(&q->journal);
	pthread_mutex_destroy(&q->mutex);
}

static void tally_arrival(struct tally *t, int64_t now_ns, uint64_t in_flight, struct hold_arrival hold)
{
	t->requests++;
	if (t->first_ns == 0)
		t->first_ns = now_ns;
	t->last_ns = now_ns;
	if (in_flight > t->max_in_flight)
		t->max_in_flight = in_flight;
	if (hold.inside) {
		t->in_hold++;
		if (hold.since_announced_ns > t->in_hold_latest_ns)
			t->in_hold_latest_ns = hold.since_announced_ns;
	}
	if (hold.resumes && hold.late_ns > t->resume_late_max_ns)
		t->resume_late_max_ns = hold.late_ns;
}

static void note_arrival(struct quota *q, int64_t now_ns)
{
	struct hold_arrival hold = hold_arrive(&q->hold, now_ns);

	q->in_flight++;
	tally_arrival(&q->total, now_ns, q->in_flight, hold);
	tally_arrival(&q->since_mark, now_ns, q->in_flight, hold);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

struct refusal {
	int64_t wait_ns; /* until every limit would let a request pass; 0 = now */
	int status;
};

static struct refusal ask_limits(struct quota *q, int64_t now_ns)
{
	const struct quota_settings *s = &q->settings;
	struct refusal refusal = {.status = s->throttle_status};

	if (s->bucket.on) {
		bucket_refill(&q->bucket, &s->bucket, now_ns);
		refusal.wait_ns = bucket_wait_ns(&q->bucket, &s->bucket);
	}
	if (s->window.on) {
		fixed_window_advance(q->current, &s->window, now_ns);
		refusal.wait_ns = later(refusal.wait_ns, fixed_window_wait_ns(q->current, &s->window, now_ns));
	}
	if (s->slots.reject_status != 0) {
		int64_t slots_ns = slots_wait_ns(&q->slots, &s->slots, now_ns);

		/* A full server has a status of its own; a spent quota comes first. */
		if (refusal.wait_ns == 0)
			refusal.status = s->slots.reject_status;
		refusal.wait_ns = later(refusal.wait_ns, slots_ns);
	}
	return refusal;
}

/* The tightest of the limits that count requests. */
static struct quota_view tightest_view(const struct quota *q, int64_t now_ns)
{
	struct quota_view view = {0};

	if (q->settings.bucket.on)
		view = bucket_view(&q->bucket, &q->settings.bucket);
	if (q->settings.window.on) {
		struct quota_view window = fixed_window_view(q->current, &q->settings.window, now_ns);

		if (!view.known || window.remaining < view.remaining)
			view = window;
	}
	return view;
}

static void throttle(struct quota *q, int64_t now_ns, int status, struct verdict *v)
{
	v->throttled = true;
	v->overruled = true;
	v->status = status;
	v->ready_ns = now_ns + q->settings.latency_ns;
	q->total.throttled++;
	q->since_mark.throttled++;
}

static void accept(struct quota *q, int64_t now_ns, int64_t path_delay_ns, struct verdict *v)
{
	int error;

	if (q->settings.bucket.on)
		bucket_take(&q->bucket);
	if (q->settings.window.on)
		fixed_window_take(q->current);
	v->ready_ns = slots_take(&q->slots, &q->settings.slots, &q->random, now_ns);
	v->ready_ns += q->settings.latency_ns + path_delay_ns;
	error = error_mix_draw(&q->settings.errors, &q->random);
	if (error != 0) {
		v->overruled = true;
		v->status = error;
	}
	q->total.accepted++;
	q->since_mark.accepted++;
}

static void announce(struct quota *q, int64_t now_ns, int64_t retry_ns, struct verdict *v)
{
	dialect_announce(&q->settings.dialect, tightest_view(q, now_ns), v->throttled, retry_ns, now_ns + q->wall_offset_ns,
			 q->announcements, &v->announcement);
	if (!v->throttled)
		return;
	q->announcements++;
	if (v->announcement.hold_ns > 0 && hold_announce(&q->hold, now_ns, now_ns + v->announcement.hold_ns)) {
		q->total.holds++;
		q->since_mark.holds++;
	}
}

void quota_arrive(struct quota *q, const char *path, const char *credential, int path_status, int64_t path_delay_ns,
		  struct verdict *out)
{
	int64_t now_ns;
	struct refusal refusal;

	memset(out, 0, sizeof *out);
	out->status = path_status;
	pthread_mutex_lock(&q->mutex);
	now_ns = monotonic_ns();
	note_arrival(q, now_ns);
	choose_window(q, path, credential, now_ns);
	refusal = ask_limits(q, now_ns);
	if (q->settings.throttle_next > 0) {
		q->settings.throttle_next--;
		throttle(q, now_ns, q->settings.throttle_status, out);
		refusal.wait_ns = refusal.wait_ns > 0 ? refusal.wait_ns : DEFAULT_RETRY_NS;
	} else if (refusal.wait_ns > 0) {
		throttle(q, now_ns, refusal.status, out);
	} else {
		accept(q, now_ns, path_delay_ns, out);
	}
	announce(q, now_ns, refusal.wait_ns, out);
	if (q->settings.apart && q->settings.named)
		dialect_name(&out->announcement, path);
	q->total.by_status[out->status]++;
	q->since_mark.by_status[out->status]++;
	journal_append(&q->journal, now_ns, out->status, path);
	pthread_mutex_unlock(&q->mutex);
}

void quota_arrive_hung(struct quota *q, const char *path)
{
	int64_t now_ns;

	pthread_mutex_lock(&q->mutex);
	now_ns = monotonic_ns();
	note_arrival(q, now_ns);
	q->total.hung++;
	q->since_mark.hung++;
	journal_append(&q->journal, now_ns, 0, path);
	pthread_mutex_unlock(&q->mutex);
}

void quota_leave(struct quota *q)
{
	pthread_mutex_lock(&q->mutex);
	q->in_flight--;
	pthread_mutex_unlock(&q->mutex);
}

void quota_set(struct quota *q, const struct quota_settings *settings)
{
	struct quota_settings old;
	int64_t now_ns;

	pthread_mutex_lock(&q->mutex);
	now_ns = monotonic_ns();
	old = q->settings;
	if (old.bucket.on)
		bucket_refill(&q->bucket, &old.bucket, now_ns);
	q->settings = *settings;
	if (settings->throttle_next == THROTTLE_NEXT_KEEP)
		q->settings.throttle_next = old.throttle_next;
	if (!old.bucket.on)
		bucket_fill(&q->bucket, &settings->bucket, now_ns);
	else
		bucket_refill(&q->bucket, &settings->bucket, now_ns);
	if (!old.window.on || old.window.period_ns != settings->window.period_ns ||
	    old.window.wall_aligned != settings->window.wall_aligned || old.window.phase_ns != settings->window.phase_ns)
		fixed_window_start(&q->window, &settings->window, now_ns, now_ns + q->wall_offset_ns);
	if (old.slots.count == 0)
		slots_clear(&q->slots);
	if (old.seed != settings->seed)
		q->random.state = (uint64_t)settings->seed;
	pthread_mutex_unlock(&q->mutex);
}

struct quota_settings quota_settings(struct quota *q)
{
	struct quota_settings copy;

	pthread_mutex_lock(&q->mutex);
	copy = q->settings;
	copy.throttle_next = THROTTLE_NEXT_KEEP;
	pthread_mutex_unlock(&q->mutex);
	return copy;
}

void quota_count_connection(struct quota *q, bool during_outage)
{
	pthread_mutex_lock(&q->mutex);
	q->total.connections++;
	q->since_mark.connections++;
	if (during_outage) {
		q->total.outage_connections++;
		q->since_mark.outage_connections++;
	}
	pthread_mutex_unlock(&q->mutex);
}

void quota_count_outage(struct quota *q, uint64_t dropped_syns, uint64_t netns_resets)
{
	pthread_mutex_lock(&q->mutex);
	q->total.dropped_syns += dropped_syns;
	q->since_mark.dropped_syns += dropped_syns;
	q->total.netns_resets += netns_resets;
	q->since_mark.netns_resets += netns_resets;
	pthread_mutex_unlock(&q->mutex);
}

static void clear_tally(struct tally *t, uint64_t in_flight)
{
	memset(t, 0, sizeof *t);
	t->max_in_flight = in_flight;
}

void quota_mark(struct quota *q)
{
	pthread_mutex_lock(&q->mutex);
	clear_tally(&q->since_mark, q->in_flight);
	pthread_mutex_unlock(&q->mutex);
}

void quota_reset(struct quota *q)
{
	pthread_mutex_lock(&q->mutex);
	clear_tally(&q->total, q->in_flight);
	clear_tally(&q->since_mark, q->in_flight);
	journal_clear(&q->journal);
	memset(&q->hold, 0, sizeof q->hold);
	q->settings.throttle_next = 0;
	q->announcements = 0;
	refill_everything(q);
	pthread_mutex_unlock(&q->mutex);
}
