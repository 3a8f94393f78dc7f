/* SPDX-License-Identifier: MIT */
/* A client of many threads: what `evaluate --client` is, under LD_PRELOAD. */
#ifndef EVAL_CLIENT_H
#define EVAL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

/* `threads` threads that call curl_easy_perform, each on a handle of its own and a connection that it keeps: for url, or, when
 * `tail`, for url followed by paths with a heavy tail of service times. Ends after `requests` requests, 0 = never. Returns an
 * exit status. */
int client_run(unsigned threads, uint64_t requests, bool tail, const char *url);

/* A path of quotad's whose service time has a heavy tail: one in ten takes a time drawn from a Pareto distribution (alpha 1.2,
 * from 5 ms, cut at 3 s), the others none. `random` is the state of rand_r(). */
void client_tail_path(unsigned *random, char out[32]);

#endif
