/* SPDX-License-Identifier: MIT */
/*
 * The hooks of curl_multi_*: each request of each transfer is admitted and settled as one to its own host, and nobody is made to
 * wait. A transfer whose first request must wait is kept back, and handed to libcurl when its time comes: by whatever the program
 * calls next. Until then it is one of those running; time-outs that libcurl tells, and those that the program waits for, end when
 * it has to be looked at (timer.h).
 *
 * A refused transfer arrives by curl_multi_info_read: CURLE_COULDNT_CONNECT or CURLE_OPERATION_TIMEDOUT, with the reason in the
 * handle's error buffer.
 *
 * What libcurl calls of itself (curl_easy_perform is made of these) passes straight through. Where no libcurl is found behind a
 * hook: CURLM_INTERNAL_ERROR or NULL.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/flight.h"
#include "src/preload/core/hook.h"
#include "src/preload/curl/connects.h"
#include "src/preload/curl/done.h"
#include "src/preload/curl/held.h"
#include "src/preload/curl/kept.h"
#include "src/preload/curl/timer.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/curl/withheld.h"
#include "src/preload/socket/pending.h"
#include "weir/kernel.h"
#include "weir/log.h"

#define CALLER __builtin_return_address(0)

/* The libcurl of a multi handle that libcurl itself has not called for; *m: its entry, NULL = not known. */
static const struct weir_curl *library_of(CURLM *multi, const void *caller, struct weir_multi **m)
{
	*m = weir_multi_find(multi);
	if (*m && weir_curl_is_loaded((*m)->curl))
		return (*m)->curl;
	*m = NULL;
	return weir_curl_for(caller);
}

/* Before libcurl is called. */
static void enter(struct weir_multi *m)
{
	int saved = errno;

	weir_kept_look(m);
	errno = saved;
}

/* After it. */
static void leave(struct weir_multi *m)
{
	static const struct weir_flight_watch nobody;
	int saved = errno;

	/* Libcurl may have found another way than connect (TCP Fast Open). */
	weir_flight_expect(&nobody);
	if (weir_done_collect(m) && weir_multi_waits(m))
		weir_kept_freed(m);
	weir_held_pause(m);
	weir_kept_look(m);
	weir_timer_tell(m);
	errno = saved;
}

/* Those kept back run as well, for the program. `kept`: how many there were when libcurl counted. */
static CURLMcode counted(CURLMcode code, int *running, uint32_t kept)
{
	if (code == CURLM_OK || code == CURLM_CALL_MULTI_PERFORM)
		*running += (int)kept;
	return code;
}

/* The same, of a call that counts: what libcurl has ended and is to be made once more still runs, for the program. */
static void leave_counting(struct weir_multi *m, CURLMcode code, int *running)
{
	m->again = 0;
	leave(m);
	if (code == CURLM_OK || code == CURLM_CALL_MULTI_PERFORM)
		*running += (int)m->again;
}

WEIR_HOOK CURLM *curl_multi_init(void)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	CURLM *multi;

	if (curl)
		return curl->multi_init();
	curl = weir_curl_for(CALLER);
	multi = curl ? curl->multi_init() : NULL;
	if (multi && !weir_disabled() && !weir_curl_contains(curl, CALLER))
		weir_multi_make(multi, curl);
	return multi;
}

static void tell_unknown(const char *host_port)
{
	static bool told;

	if (!told)
		weir_log(WEIR_LOG_WARN,
			 "%s: a transfer whose handle is not known whole, or one too many: it passes as connections", host_port);
	told = true;
}

/* Whether the transfer is weir's business, and can be made to wait. Then its entry has all that weir_kept_add wants. */
static bool is_ours(struct weir_multi *m, CURL *handle, struct weir_handle *h)
{
	struct weir_transfer *t = h ? weir_handle_transfer(h) : NULL;
	char host_port[WEIR_HOST_PORT_MAX];
	const struct weir_gate *g;

	/* Under way already: libcurl says so itself. */
	if (t && (t->multi || t->handle))
		return false;
	if (weir_disabled() || !handle || !weir_transfer_target(h, m->curl, handle, host_port) || !weir_host_chosen(host_port))
		return false;
	g = weir_attach();
	if (g && weir_pending_any())
		weir_pending_sweep();
	if (!g)
		return false;
	if (!h || !t || !weir_connects_mark(m->curl, handle, h)) {
		tell_unknown(host_port);
		return false;
	}
	weir_transfer_restore(m->curl, handle, h);
	if (h->withheld)
		weir_withheld_end(m->curl, handle, h);
	weir_transfer_chain(m->curl, handle, h);
	t->gate = g;
	memcpy(t->host_port, host_port, sizeof t->host_port);
	return true;
}

WEIR_HOOK CURLMcode curl_multi_add_handle(CURLM *multi, CURL *handle)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_handle *h;
	struct weir_multi *m;
	CURLMcode code;
	int saved = errno;

	if (curl)
		return curl->multi_add(multi, handle);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	h = m ? weir_handle_find(handle) : NULL;
	if (h && weir_handle_transfer(h)->multi && weir_handle_transfer(h)->place == WEIR_PLACE_KEPT)
		return CURLM_ADDED_ALREADY;
	if (h)
		h->refused_with = 0;
	if (!m || !is_ours(m, handle, h)) {
		errno = saved;
		return curl->multi_add(multi, handle);
	}
	code = weir_kept_add(m, weir_handle_transfer(h), handle, h);
	weir_timer_tell(m);
	errno = saved;
	return code;
}

WEIR_HOOK CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *handle)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_transfer *t;
	struct weir_handle *h;
	struct weir_multi *m;
	CURLMcode code;
	bool kept, held;
	int paused;

	if (curl)
		return curl->multi_remove(multi, handle);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (!m)
		return curl->multi_remove(multi, handle);
	h = weir_handle_find(handle);
	t = h && weir_handle_transfer(h)->multi == m ? weir_handle_transfer(h) : NULL;
	kept = t && t->place == WEIR_PLACE_KEPT;
	held = t && t->held;
	paused = held ? t->paused : 0;
	if (t)
		weir_kept_drop(t);
	else
		weir_done_forget(m, handle);
	code = kept ? CURLM_OK : curl->multi_remove(multi, handle);
	/* In the midst of a callback it stays, and nobody else would let it go on. */
	if (held && code != CURLM_OK)
		curl->pause(handle, paused);
	leave(m);
	return code;
}

/* A loop that selects on libcurl's descriptors does not wait where there are none (pycurl's select), which bare is over in a
 * moment: while a name is looked up. Where all are kept back it would spin for as long as they are. */
#define TURNS         64
#define AT_ONCE_NS    UINT64_C(300000)
#define SHORT_WAIT_NS 1000000

__attribute__((noinline)) static void slow_down(struct weir_multi *m)
{
	struct timespec span = {0, SHORT_WAIT_NS};
	uint64_t now = weir_now_ns();
	int saved = errno;

	m->turns = now - m->turned_ns < AT_ONCE_NS ? m->turns + 1 : 0;
	if (m->turns > TURNS) {
		weir_syscall(SYS_ppoll, NULL, 0, &span, NULL, 0);
		now = weir_now_ns();
	}
	m->turned_ns = now;
	errno = saved;
}

WEIR_HOOK CURLMcode curl_multi_perform(CURLM *multi, int *running)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_multi *m;
	CURLMcode code;

	if (curl)
		return curl->multi_perform(multi, running);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (!m)
		return curl->multi_perform(multi, running);
	enter(m);
	code = counted(curl->multi_perform(multi, running), running, m->line[WEIR_PLACE_KEPT].count);
	leave_counting(m, code, running);
	if (code == CURLM_OK && m->line[WEIR_PLACE_KEPT].count > 0 && *running == (int)m->line[WEIR_PLACE_KEPT].count)
		slow_down(m);
	return code;
}

WEIR_HOOK CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_multi *m;
	CURLMcode code;

	if (curl)
		return curl->multi_socket_action(multi, fd, events, running);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (!m)
		return curl->multi_socket_action(multi, fd, events, running);
	enter(m);
	if (fd == CURL_SOCKET_TIMEOUT)
		weir_timer_ran(m);
	code = counted(curl->multi_socket_action(multi, fd, events, running), running, m->line[WEIR_PLACE_KEPT].count);
	leave_counting(m, code, running);
	return code;
}

/* The header makes a macro of it that leads to curl_multi_socket_action. */
#undef curl_multi_socket

WEIR_HOOK CURLMcode curl_multi_socket(CURLM *multi, curl_socket_t fd, int *running)
{
	struct weir_multi *m;
	const struct weir_curl *curl = library_of(multi, CALLER, &m);
	CURLMcode code;

	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (!m)
		return curl->multi_socket(multi, fd, running);
	enter(m);
	if (fd == CURL_SOCKET_TIMEOUT)
		weir_timer_ran(m);
	code = counted(curl->multi_socket(multi, fd, running), running, m->line[WEIR_PLACE_KEPT].count);
	leave_counting(m, code, running);
	return code;
}

WEIR_HOOK CURLMcode curl_multi_socket_all(CURLM *multi, int *running)
{
	struct weir_multi *m;
	const struct weir_curl *curl = library_of(multi, CALLER, &m);
	CURLMcode code;

	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (!m)
		return curl->multi_socket_all(multi, running);
	enter(m);
	code = counted(curl->multi_socket_all(multi, running), running, m->line[WEIR_PLACE_KEPT].count);
	leave_counting(m, code, running);
	return code;
}

/* curl_multi_wait returns at once where libcurl has nothing to wait for; a program that has only transfers that are kept back
 * would spin. So it waits here, for what is left of the time. */
__attribute__((noinline)) static void rest(struct weir_multi *m, uint64_t until_ns)
{
	uint64_t now = weir_now_ns(), left = until_ns > now ? until_ns - now : 0;
	struct timespec span = {(time_t)(left / 1000000000U), (long)(left % 1000000000U)};
	long ms = -1;
	int saved = errno;

	/* Not longer than libcurl itself can wait: for a name, say. */
	if (m->curl->multi_timeout(m->handle, &ms) == CURLM_OK && ms >= 0 && (uint64_t)ms * 1000000 < left)
		span = (struct timespec){ms / 1000, ms % 1000 * 1000000};
	weir_syscall(SYS_ppoll, NULL, 0, &span, NULL, 0);
	errno = saved;
}

/* The arguments of curl_multi_wait and curl_multi_poll. */
struct waiting {
	struct curl_waitfd *fds;
	unsigned int count;
	int ms;
	int *ready;
};

static CURLMcode wait_shorter(struct weir_multi *m, const struct waiting *w, bool polls)
{
	uint64_t until = weir_now_ns();
	int ready = 0;
	CURLMcode code;
	long ms;

	enter(m);
	ms = weir_timer_clamp(m, w->ms);
	until += (uint64_t)ms * 1000000;
	code = (polls ? m->curl->multi_poll : m->curl->multi_wait)(m->handle, w->fds, w->count, (int)ms, &ready);
	if (w->ready)
		*w->ready = ready;
	if (!polls && code == CURLM_OK && ready == 0 && w->count == 0 && m->line[WEIR_PLACE_KEPT].count > 0)
		rest(m, until);
	return code;
}

WEIR_HOOK CURLMcode curl_multi_wait(CURLM *multi, struct curl_waitfd fds[], unsigned int count, int ms, int *ready)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	const struct waiting w = {fds, count, ms, ready};
	struct weir_multi *m;

	if (curl)
		return curl->multi_wait(multi, fds, count, ms, ready);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (!m || !weir_multi_waits(m) || ms < 0)
		return curl->multi_wait(multi, fds, count, ms, ready);
	return wait_shorter(m, &w, false);
}

WEIR_HOOK CURLMcode curl_multi_poll(CURLM *multi, struct curl_waitfd fds[], unsigned int count, int ms, int *ready)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	const struct waiting w = {fds, count, ms, ready};
	struct weir_multi *m;

	if (curl)
		return curl->multi_poll(multi, fds, count, ms, ready);
	curl = library_of(multi, CALLER, &m);
	if (!curl || !curl->multi_poll)
		return CURLM_INTERNAL_ERROR;
	if (!m || !weir_multi_waits(m) || ms < 0)
		return curl->multi_poll(multi, fds, count, ms, ready);
	return wait_shorter(m, &w, true);
}

WEIR_HOOK CURLMcode curl_multi_timeout(CURLM *multi, long *ms)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_multi *m;
	CURLMcode code;

	if (curl)
		return curl->multi_timeout(multi, ms);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	code = curl->multi_timeout(multi, ms);
	if (m && code == CURLM_OK)
		*ms = weir_timer_clamp(m, *ms);
	return code;
}

WEIR_HOOK CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_multi *m;
	CURLMsg *message;

	if (curl)
		return curl->multi_info_read(multi, left);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return NULL;
	message = m ? weir_done_next(m, left) : NULL;
	return message ? message : curl->multi_info_read(multi, left);
}

WEIR_HOOK CURLMcode curl_multi_cleanup(CURLM *multi)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_multi *m;
	int saved = errno;

	if (curl)
		return curl->multi_cleanup(multi);
	curl = library_of(multi, CALLER, &m);
	if (m) {
		weir_kept_drop_all(m);
		weir_multi_forget(m);
	}
	errno = saved;
	return curl ? curl->multi_cleanup(multi) : CURLM_INTERNAL_ERROR;
}

/* The third argument is one word: see curl_easy_setopt. */
WEIR_HOOK CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
	const struct weir_curl *curl = weir_transfer_inner(CALLER);
	struct weir_multi *m;
	va_list arguments;
	void *word;

	va_start(arguments, option);
	word = va_arg(arguments, void *);
	va_end(arguments);
	if (curl)
		return curl->multi_setopt(multi, option, word);
	curl = library_of(multi, CALLER, &m);
	if (!curl)
		return CURLM_INTERNAL_ERROR;
	if (m && option == CURLMOPT_TIMERFUNCTION)
		return weir_timer_set(m, (curl_multi_timer_callback)word);
	if (m && option == CURLMOPT_TIMERDATA)
		return weir_timer_set_data(m, word);
	return curl->multi_setopt(multi, option, word);
}
