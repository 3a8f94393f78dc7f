/* SPDX-License-Identifier: MIT */
/* The parts of the adaptive rate controller and their constants. */
#ifndef WEIR_LIMIT_RATE_ADAPTIVE_H
#define WEIR_LIMIT_RATE_ADAPTIVE_H

#include "rate_state.h"

#define PAUSE_MIN_NS (100 * RATE_MS)
#define PAUSE_MAX_NS (UINT64_C(86400) * RATE_SECOND) /* the longest window in use is a day */
/* Asking blindly, no less often than this: one refusal in half an hour is no burden on anybody. */
#define PAUSE_BLIND_NS  (UINT64_C(1800) * RATE_SECOND)
#define MARGIN_PPM      UINT64_C(5000)   /* the plateau is this far below the estimate */
#define GROWTH_PPM      UINT64_C(10000)  /* first step above it */
#define ABOVE_PPM       UINT64_C(250000) /* how far to look above the estimate without evidence */
#define BEYOND_PPM      UINT64_C(62500)  /* first step beyond that, with evidence */
#define LONG_RUN        UINT64_C(4)      /* refusals in a row that no bucket explains */
#define STEP_MAX        UINT64_C(16)     /* accepts of one step */
#define PLATEAU_BASE    UINT64_C(400)    /* accepts between two looks upward */
#define PLATEAU_MAX     UINT64_C(65536)
#define AGREED_MANY     UINT64_C(7) /* looks that must confirm the estimate before they become rare */
#define FEW             UINT64_C(8) /* accepts that are no measurement if nobody asked for most of the time */
#define UNKNOWN_NS      RATE_SECOND /* what is not known makes nobody wait for longer */
#define UNASKED_TIMES   UINT64_C(2) /* of two refusals in a row further apart than so many pauses: nobody asked */
#define SUSTAINED_TRUST UINT64_C(8) /* of a pace that was accepted for a while: the limit is above it */
#define TRUST_MAX       UINT64_C(65536)

/* What was learned is doubted after IDLE_NS without traffic, and forgotten after FORGET_NS: a week's cron job still finds it. */
#define IDLE_NS    (UINT64_C(600) * RATE_SECOND)
#define FORGET_NS  (UINT64_C(8) * 86400 * RATE_SECOND)
#define IDLE_TRUST UINT64_C(64)

#define TOLD_SPENT UINT64_C(1) /* in told_end_ns */

/* The pace of the plateau: so far below the estimate. The most that is tried before there is evidence that the limit has risen,
 * and whether there is: more accepts since the bucket was last empty than the estimate allows. */
uint64_t rate_below(const struct rate_state *s);
uint64_t rate_above(const struct rate_state *s);
bool rate_surplus(const struct rate_step *step);
/* What a count of n accepts is worth. */
uint64_t rate_worth(const struct rate_state *s, uint64_t n);
/* Refused on the way up, and on the plateau, after n accepts at the rate that was measured: corrects the estimate. */
void rate_judge_climb(struct rate_step *step, uint64_t n, uint64_t measured);
void rate_judge_plateau(struct rate_state *s, uint64_t n, uint64_t measured);

/* Reads the quotas of the answer at hand. */
void rate_told(struct rate_step *step);

/* Whether what the host says of this quota yields a pace. */
bool rate_quota_paces(const struct weir_quota *q);
void rate_quota_sanitize(struct rate_state *s, uint64_t now_ns);

/* Sends nothing before until_ns. */
void rate_pause_until(struct rate_step *step, uint64_t until_ns);

/* A refusal says when to come back: a boundary, if it is far enough away. Before rate_window_exhausted. busy_ns: of the time
 * since the last boundary, that in which the host was asked. */
void rate_window_held(struct rate_step *step, uint64_t busy_ns);
/* An accept comes in that was under way when the host began to refuse. */
void rate_window_straggler(struct rate_step *step);
/* An accept has ended a run of refusals: a window's boundary, perhaps. */
void rate_window_reopened(struct rate_step *step);
/* Whether the last long run of refusals ended in more than a bucket could have given: a window's end, or that of a ban. */
bool rate_window_lifted(const struct rate_step *step);
/* Refusals without end: was what was accepted before a window's worth? */
void rate_window_exhausted(struct rate_step *step);
/* Pauses until the next boundary, if there is reason to expect one. Returns whether it did. */
bool rate_window_pause(struct rate_step *step);

/* Whether a ban is known, or tried. */
bool rate_ban(const struct rate_state *s);
/* The host refuses after it has accepted: waits for the end of what may be a ban like the last one. Whether it may. */
bool rate_ban_try(struct rate_step *step);
/* ... or surely is one: settles on a pace below. Whether it is; then rate_ban_pause is due. */
bool rate_ban_again(struct rate_step *step);
void rate_ban_pause(struct rate_step *step);
/* The host refuses although nothing has been sent for as long as the last one took: it was none. */
void rate_ban_refuted(struct rate_step *step);
/* An accept has ended the first run of refusals that there was: a ban, if that took minutes. Whether it is taken for one. */
bool rate_ban_first(struct rate_step *step);
/* An accept has ended it. */
void rate_ban_lifted(struct rate_step *step);
/* The step's accepts have come in. */
void rate_ban_stepped(struct rate_step *step);

#endif
