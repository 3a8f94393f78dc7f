/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/timer.h"

#include <errno.h>
#include <limits.h>

#include "weir/gate.h"

#define MS_NS UINT64_C(1000000)

/* Not sooner: who comes a little early has to come again. */
static long ms_until(uint64_t due_ns)
{
	uint64_t now = weir_now_ns(), ms = due_ns > now ? (due_ns - now + MS_NS - 1) / MS_NS : 0;

	return due_ns == WEIR_NEVER ? -1 : ms < INT_MAX ? (long)ms : INT_MAX;
}

static uint64_t due(const struct weir_multi *m)
{
	return m->wake_ns < m->asked_ns ? m->wake_ns : m->asked_ns;
}

/* Noted before the call: the callback may call back. */
static int tell(struct weir_multi *m, uint64_t due_ns, long ms)
{
	m->told_ns = due_ns;
	m->steered = due_ns != m->asked_ns;
	return m->timer ? m->timer(m->handle, ms, m->timer_data) : 0;
}

static int asked(CURLM *handle, long ms, void *data)
{
	struct weir_multi *m = data;

	(void)handle;
	m->asked_ns = ms < 0 ? WEIR_NEVER : weir_now_ns() + (uint64_t)ms * MS_NS;
	return due(m) == m->asked_ns ? tell(m, m->asked_ns, ms) : tell(m, m->wake_ns, ms_until(m->wake_ns));
}

CURLMcode weir_timer_set(struct weir_multi *m, curl_multi_timer_callback timer)
{
	CURLMcode code;

	m->timer = timer;
	if (!timer) {
		m->curl->multi_setopt(m->handle, CURLMOPT_TIMERDATA, m->timer_data);
		return m->curl->multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, NULL);
	}
	code = m->curl->multi_setopt(m->handle, CURLMOPT_TIMERDATA, m);
	return code == CURLM_OK ? m->curl->multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, asked) : code;
}

CURLMcode weir_timer_set_data(struct weir_multi *m, void *data)
{
	m->timer_data = data;
	return m->timer ? CURLM_OK : m->curl->multi_setopt(m->handle, CURLMOPT_TIMERDATA, data);
}

void weir_timer_tell(struct weir_multi *m)
{
	uint64_t next = due(m), told = m->told_ns;

	if (!m->timer || (!weir_multi_waits(m) && !m->steered))
		return;
	/* A timer that has run out is none. */
	if (told != WEIR_NEVER && told <= weir_now_ns())
		told = WEIR_NEVER;
	if (next != told)
		tell(m, next, ms_until(next));
}

void weir_timer_ran(struct weir_multi *m)
{
	m->asked_ns = WEIR_NEVER;
}

long weir_timer_clamp(const struct weir_multi *m, long ms)
{
	long wake = m->wake_ns == WEIR_NEVER ? -1 : ms_until(m->wake_ns);

	return wake >= 0 && (ms < 0 || wake < ms) ? wake : ms;
}
