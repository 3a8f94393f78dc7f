/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/kept.h"

#include <errno.h>
#include <string.h>

#include "src/preload/core/attach.h"
#include "src/preload/curl/again.h"
#include "src/preload/curl/connects.h"
#include "src/preload/curl/held.h"
#include "src/preload/curl/parked.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/curl/withheld.h"
#include "weir/kernel.h"

/* What is over, as far as weir is concerned. */
static void close_transfer(struct weir_transfer *t)
{
	weir_transfer_restore(t->curl, t->handle, t->known);
	if (t->known->withheld)
		weir_withheld_end(t->curl, t->handle, t->known);
	weir_park_forget(t);
	weir_held_forget(t);
	t->handle = NULL;
}

static bool waits(const struct weir_transfer *t)
{
	return t->again.due_ns != 0 || (t->refused == 0 && t->request->phase == WEIR_PHASE_WAITING);
}

/* To libcurl, which is to refuse by itself what is refused: so the transfer's options are judged, its callbacks called, and all
 * that curl_easy_getinfo tells is of this transfer. */
static CURLMcode hand_over(struct weir_multi *m, struct weir_transfer *t)
{
	CURLMcode code;

	if (t->refused != 0)
		weir_transfer_refuse(t->curl, t->handle, t->known);
	else if (t->request->delayed || (t->again.on && t->again.attempt > 1))
		weir_transfer_shorten(t);
	t->begun_ns = weir_now_ns();
	weir_line_move(m, t, WEIR_PLACE_UNDER_WAY);
	code = t->curl->multi_add(m->handle, t->handle);
	/* In the midst of a callback: not now. */
	if (code == CURLM_RECURSIVE_API_CALL)
		weir_transfer_restore(t->curl, t->handle, t->known);
	return code;
}

CURLMcode weir_kept_add(struct weir_multi *m, struct weir_transfer *t, CURL *handle, struct weir_handle *h)
{
	CURLMcode code;

	t->handle = handle;
	t->curl = m->curl;
	t->known = h;
	t->request = &t->own;
	t->number = 0;
	t->told_long = false;
	t->message = NULL;
	t->started_ns = 0;
	t->parks = 0;
	t->held = false;
	t->own.phase = WEIR_PHASE_IDLE;
	weir_line_move(m, t, WEIR_PLACE_KEPT);
	weir_transfer_begin(t);
	if (waits(t)) {
		if (t->wake_ns < m->wake_ns)
			m->wake_ns = t->wake_ns;
		return CURLM_OK;
	}
	code = hand_over(m, t);
	if (code == CURLM_OK)
		return code;
	weir_transfer_leave(t);
	close_transfer(t);
	weir_line_leave(t);
	return code;
}

/* The program may have changed where it goes, as it may for a handle that libcurl has not begun with. False: it is none of weir's
 * business any more. */
static bool still_goes_there(struct weir_transfer *t)
{
	char host_port[WEIR_HOST_PORT_MAX];

	if (!t->known->whole || !weir_transfer_target(t->known, t->curl, t->handle, host_port))
		return false;
	if (strcmp(host_port, t->host_port) == 0)
		return true;
	weir_transfer_leave(t);
	memcpy(t->host_port, host_port, sizeof host_port);
	weir_transfer_begin(t);
	return true;
}

static void tell_long(struct weir_transfer *t, uint64_t now_ns)
{
	const struct weir_request *r = t->request;
	uint64_t from = r->until_ns > now_ns ? now_ns : r->begun_ns, to = r->until_ns > now_ns ? r->until_ns : now_ns;

	if (t->told_long || !t->gate->long_wait || to - from <= WEIR_LONG_WAIT_NS || to < from)
		return;
	t->told_long = true;
	t->gate->long_wait(r, t->host_port, now_ns);
}

/* Over, without libcurl. */
static void tell_end(struct weir_multi *m, struct weir_transfer *t, CURLcode code)
{
	CURL *handle = t->handle;

	close_transfer(t);
	memset(&t->failed, 0, sizeof t->failed);
	t->failed.msg = CURLMSG_DONE;
	t->failed.easy_handle = handle;
	t->failed.data.result = code;
	t->message = &t->failed;
	weir_line_move(m, t, WEIR_PLACE_DONE);
}

/* Libcurl would not have it. What the program was not told when it added the handle it is told now. */
__attribute__((noinline)) static void fail(struct weir_multi *m, struct weir_transfer *t)
{
	weir_transfer_leave(t);
	tell_end(m, t, CURLE_FAILED_INIT);
}

/* Another attempt is refused: the program gets what the last one has brought. */
__attribute__((noinline)) static void give_up(struct weir_multi *m, struct weir_transfer *t)
{
	weir_transfer_leave(t);
	t->refused = 0;
	tell_end(m, t, weir_again_give_up(t));
}

/* Its time has come, or it is refused. False when libcurl cannot take it now. */
static bool release(struct weir_multi *m, struct weir_transfer *t)
{
	CURLMcode code;

	if (t->again.waits && t->refused != 0) {
		give_up(m, t);
		return true;
	}
	if (t->again.waits)
		weir_again_next(t);
	code = hand_over(m, t);
	if (code == CURLM_RECURSIVE_API_CALL) {
		weir_line_move(m, t, WEIR_PLACE_KEPT);
		return false;
	}
	if (code != CURLM_OK)
		fail(m, t);
	return true;
}

/* The pause between two attempts is over. */
__attribute__((noinline)) static void begin_again(struct weir_transfer *t)
{
	t->again.due_ns = 0;
	t->again.waits = true;
	if (!weir_transfer_begin_again(t) && t->refused == 0)
		t->refused = ECONNREFUSED; /* the program has made another URL of it meanwhile */
}

bool weir_kept_again(struct weir_multi *m, struct weir_transfer *t)
{
	if (t->curl->multi_remove(m->handle, t->handle) != CURLM_OK)
		return false;
	weir_transfer_restore(t->curl, t->handle, t->known);
	weir_park_forget(t);
	weir_held_forget(t);
	t->started_ns = 0;
	t->told_long = false;
	t->wake_ns = t->again.due_ns;
	if (t->wake_ns < m->wake_ns)
		m->wake_ns = t->wake_ns;
	weir_line_move(m, t, WEIR_PLACE_KEPT);
	m->again++;
	return true;
}

/* Looks at one. True when it is kept on. */
static bool look_at(struct weir_multi *m, struct weir_transfer *t, uint64_t now_ns)
{
	bool there;

	if (t->again.due_ns > now_ns) {
		t->wake_ns = t->again.due_ns;
		return true;
	}
	if (t->again.due_ns != 0) {
		begin_again(t);
		return waits(t) || !release(m, t);
	}
	there = t->again.waits || still_goes_there(t);
	if (!there) {
		weir_transfer_leave(t);
		t->here = false;
	} else if (waits(t)) {
		weir_transfer_look(t);
	}
	if (there && waits(t)) {
		tell_long(t, now_ns);
		return true;
	}
	return !release(m, t);
}

/* Where one waits for a permit the next need not ask. */
static bool is_behind(const struct weir_transfer *t, uint32_t full_slot)
{
	return t->again.due_ns == 0 && t->request->wait_slot == full_slot && t->request->until_ns == 0;
}

/* Those kept back. Returns when to look again. */
static uint64_t look_at_kept(struct weir_multi *m, uint64_t now_ns)
{
	uint64_t wake = WEIR_NEVER;
	uint32_t full = WEIR_NONE, left = m->line[WEIR_PLACE_KEPT].count;
	struct weir_transfer *t = m->line[WEIR_PLACE_KEPT].first, *next;

	/* As many as there are: one that libcurl cannot take now goes to the end. */
	for (; t && left > 0; t = next, left--) {
		/* Libcurl has called the program, which has moved it: what is left is looked at next time. */
		if (t->multi != m || t->place != WEIR_PLACE_KEPT)
			return now_ns;
		next = t->next;
		if (is_behind(t, full))
			t->wake_ns = wake;
		else if (t->wake_ns <= now_ns && look_at(m, t, now_ns) && waits(t) && t->again.due_ns == 0 &&
			 t->request->until_ns == 0)
			full = t->request->wait_slot;
		if (t->multi == m && t->place == WEIR_PLACE_KEPT && t->wake_ns < wake)
			wake = t->wake_ns;
	}
	return wake;
}

/* One whose connect waits, or that waits where it sends. One that is refused meanwhile connects, and is told so where it would
 * send its request: libcurl cannot be told sooner. */
static void look_at_stopped(struct weir_transfer *t, uint64_t now_ns)
{
	if (t->wake_ns <= now_ns) {
		weir_transfer_look(t);
		if (t->held && !waits(t))
			weir_transfer_depart(t);
	}
	if (waits(t)) {
		tell_long(t, now_ns);
	} else {
		weir_unpark(t);
		weir_held_go(t);
	}
}

static uint64_t look_at_under_way(struct weir_multi *m, uint64_t now_ns)
{
	uint64_t wake = WEIR_NEVER;
	struct weir_transfer *next;

	for (struct weir_transfer *t = m->line[WEIR_PLACE_UNDER_WAY].first; t && m->parked + m->held > 0; t = next) {
		/* Libcurl has called the program, which has moved it: what is left is looked at next time. */
		if (t->multi != m || t->place != WEIR_PLACE_UNDER_WAY)
			return now_ns;
		next = t->next;
		if (t->parks == 0 && !t->held)
			continue;
		look_at_stopped(t, now_ns);
		if (waits(t) && t->wake_ns < wake)
			wake = t->wake_ns;
	}
	return wake;
}

void weir_kept_look(struct weir_multi *m)
{
	uint64_t now, kept, under_way;

	if (m->wake_ns == WEIR_NEVER || (now = weir_now_ns()) < m->wake_ns)
		return;
	/* What begins to wait in a callback meanwhile sets it as well. */
	m->wake_ns = WEIR_NEVER;
	kept = look_at_kept(m, now);
	under_way = look_at_under_way(m, now);
	kept = under_way < kept ? under_way : kept;
	if (kept < m->wake_ns)
		m->wake_ns = kept;
}

void weir_kept_freed(struct weir_multi *m)
{
	for (unsigned i = WEIR_PLACE_KEPT; i <= WEIR_PLACE_UNDER_WAY; i++) {
		for (struct weir_transfer *t = m->line[i].first; t && weir_multi_waits(m); t = t->next) {
			if ((i == WEIR_PLACE_KEPT || t->parks > 0 || t->held) && t->request->until_ns == 0)
				t->wake_ns = m->wake_ns = 0;
		}
	}
}

void weir_kept_drop(struct weir_transfer *t)
{
	struct weir_multi *m;

	if (!t->multi)
		return;
	if (t->handle) {
		if (t->place == WEIR_PLACE_KEPT || t->refused != 0)
			weir_transfer_leave(t);
		else if (weir_transfer_is_ours(t))
			weir_transfer_end(t, t->request, CURLE_ABORTED_BY_CALLBACK);
		close_transfer(t);
	}
	m = t->multi;
	weir_line_leave(t);
	if (!weir_multi_waits(m))
		m->wake_ns = WEIR_NEVER;
}

void weir_kept_drop_all(struct weir_multi *m)
{
	for (unsigned i = 0; i < WEIR_PLACES; i++) {
		while (m->line[i].first)
			weir_kept_drop(m->line[i].first);
	}
}

/* Those kept back begin anew, should the process go on (an exec that fails). */
static void finish_multi(struct weir_multi *m)
{
	for (unsigned i = WEIR_PLACE_KEPT; i <= WEIR_PLACE_UNDER_WAY; i++) {
		for (struct weir_transfer *t = m->line[i].first; t; t = t->next) {
			weir_transfer_leave(t);
			t->process = 0;
		}
	}
}

/* Not in a vfork child, which runs in its parent's memory. */
static void finish(void)
{
	const struct weir_gate *g = weir_attached();

	if (g && g->owner.pid == (uint32_t)weir_getpid())
		weir_multi_each(finish_multi);
}

const struct weir_room weir_multi_room = {.finish = finish};
