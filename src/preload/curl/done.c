/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/done.h"

#include <string.h>

#include "src/preload/curl/again.h"
#include "src/preload/curl/held.h"
#include "src/preload/curl/kept.h"
#include "src/preload/curl/parked.h"
#include "src/preload/curl/transfer.h"
#include "src/preload/curl/withheld.h"

/* Whether it is made once more, and is not over therefore. */
__attribute__((noinline)) static bool is_made_again(struct weir_multi *m, struct weir_transfer *t, CURLMsg *message, bool judged)
{
	if (weir_again_after(t, t->request, judged, &message->data.result)) {
		if (weir_kept_again(m, t))
			return true;
		message->data.result = weir_again_give_up(t);
	}
	weir_withheld_end(t->curl, t->handle, t->known);
	return false;
}

static void end(struct weir_multi *m, struct weir_transfer *t, CURLMsg *message)
{
	bool ours = weir_transfer_is_ours(t);

	if (t->refused != 0 && ours)
		weir_transfer_unmade(t, t->request);
	if (t->refused != 0)
		message->data.result = weir_transfer_refusal(t, t->request, message->data.result);
	else if (ours)
		weir_transfer_end(t, t->request, message->data.result);
	if (t->again.on && is_made_again(m, t, message, t->refused == 0 && ours))
		return;
	weir_transfer_restore(t->curl, t->handle, t->known);
	weir_park_forget(t);
	weir_held_forget(t);
	t->handle = NULL;
	t->message = message;
	weir_line_move(m, t, WEIR_PLACE_DONE);
}

bool weir_done_collect(struct weir_multi *m)
{
	bool any = false;

	while (m->line[WEIR_PLACE_UNDER_WAY].count > 0 && m->strangers < WEIR_STRANGERS) {
		int left;
		CURLMsg *message = m->curl->multi_info_read(m->handle, &left);
		struct weir_handle *h = message ? weir_handle_find(message->easy_handle) : NULL;
		struct weir_transfer *t = h ? weir_handle_transfer(h) : NULL;

		if (!message)
			break;
		if (message->msg == CURLMSG_DONE && t && t->multi == m && t->place == WEIR_PLACE_UNDER_WAY) {
			end(m, t, message);
			any = true;
		} else {
			m->stranger[m->strangers++] = message;
		}
	}
	return any;
}

static CURLMsg *next_stranger(struct weir_multi *m)
{
	CURLMsg *message = m->stranger[0];

	m->strangers--;
	memmove(m->stranger, m->stranger + 1, m->strangers * sizeof m->stranger[0]);
	return message;
}

CURLMsg *weir_done_next(struct weir_multi *m, int *left)
{
	struct weir_transfer *t = m->line[WEIR_PLACE_DONE].first;
	CURLMsg *message = NULL;

	if (m->strangers > 0) {
		message = next_stranger(m);
	} else if (t) {
		message = t->message;
		weir_line_move(m, t, WEIR_PLACE_TOLD);
	}
	*left = (int)(m->strangers + m->line[WEIR_PLACE_DONE].count);
	return message;
}

void weir_done_forget(struct weir_multi *m, const CURL *handle)
{
	for (uint32_t i = 0; i < m->strangers; i++) {
		if (m->stranger[i]->easy_handle != handle)
			continue;
		m->strangers--;
		memmove(m->stranger + i, m->stranger + i + 1, (m->strangers - i) * sizeof m->stranger[0]);
		return;
	}
}
