/* SPDX-License-Identifier: MIT */
/*
 * When a multi handle has to be called again: what libcurl says, or sooner, where a transfer that is kept back comes first.
 *
 * A program with an event loop of its own is told by its timer callback (CURLMOPT_TIMERFUNCTION), whose place weir's takes.
 */
#ifndef WEIR_CURL_TIMER_H
#define WEIR_CURL_TIMER_H

#include "src/preload/curl/multi_table.h"

/* The program sets its callback (NULL: none), or the callback's data. Returns what curl_multi_setopt is to return. */
CURLMcode weir_timer_set(struct weir_multi *m, curl_multi_timer_callback timer);
CURLMcode weir_timer_set_data(struct weir_multi *m, void *data);

/* Calls the program's callback, where it has not been told of what comes next. */
void weir_timer_tell(struct weir_multi *m);

/* Libcurl is called because its time has come: it asks again for what is left, and says nothing where nothing is. */
void weir_timer_ran(struct weir_multi *m);

/* The time-out in milliseconds, or the shorter one until a transfer that is kept back has to be looked at. Negative = none. */
long weir_timer_clamp(const struct weir_multi *m, long ms);

#endif
