/* SPDX-License-Identifier: MIT */
/*
 * Bans that a bare status says: 503, 403 and nothing else, whatever is sent. There is no share to compare then, so what is varied
 * is not the pace but the distance between two looks. The status is taken for throttling, for the time being: the rate's
 * controller lets single requests look after pauses that double (as after a 429), and an accept after one of them is what a ban
 * looks like.
 *
 * It cannot be told from an outage, nor from a list of documents that are all forbidden, before it has ended. So it has an end.
 * Of a 5xx: silence up to 40 s, about as long as an outage is waited out anyway; then the host is down, and it is the
 * breaker's turn. Of a 4xx: three seconds; then on at full pace for as long, then silence for eight times as long, and so on, up
 * to 21 minutes. So who asks for what is forbidden loses half of the time in the long run, and a ban is found in two to eight
 * times its length, unless it is longer than that.
 */
#include "refusal_state.h"

/* How long it is tried, and how many times as long each time. The last pause has begun by then, and is as long again. */
#define SILENCE_NS      (5 * RATE_SECOND / 2)
#define SILENCE_MORE    3 /* as a power of two */
#define SILENCE_DOWN_NS (40 * RATE_SECOND)
/* A token that has run out is renewed at some time, and nobody should have to wait for hours after that: 21 minutes. */
#define SILENCE_TRIES   3U
#define SILENCE_MOST_NS (SILENCE_NS << SILENCE_MORE * SILENCE_TRIES)
#define LEARNED_LOOKS   4U

/* What was asked for was at fault where it ends sooner after a look that was refused, or with none: shorter bans are found to be
 * over soon by asking. */
#define BAN_LEAST_NS (5 * RATE_SECOND)
/* So many refusals with so few good answers to each: distance is kept from a ban, and it is none. */
#define BAN_EVENTS 12U
#define BAN_GOOD   32U
/* Fewer do where hardly anything is accepted between two of them: after a ban the bucket is full, and the pace begins anew at a
 * quarter. One that comes at once counts as two. */
#define BAN_EVENTS_SOON 4U
#define BAN_GOOD_SOON   8U
#define BAN_GOOD_NONE   4U

bool refusal_may_ban(uint32_t status)
{
	switch (status) {
	case 403:
	case 418: /* Binance */
	case 420:
	case 430:
	case 503:
	case 509:
	case 529:
		return true;
	default: /* 502 and 504 speak of a server behind it */
		return false;
	}
}

bool weir_refusal_may_be_ban(const struct weir_refusal *f, uint32_t status, uint64_t now_ns)
{
	struct refusal_state s = {0};

	unpack(atomic_load_explicit(&f->held, memory_order_relaxed), &s);
	s.again[OF_STATUS] = bits(get(f, 15), 0, 21);
	return s.trial == WEIR_TRIAL_NONE && refusal_may_ban(status) && may_ask(&s, OF_STATUS, now_ns);
}

void refusal_fall_silent(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			 uint64_t now_ns)
{
	/* Of what comes by chance, the tries were another question's. */
	if (s->status != a->status || s->meaning == WEIR_REFUSAL_CHANCE)
		s->tries[OF_STATUS] = 0;
	s->status = a->status;
	s->meaning = WEIR_REFUSAL_PACE;
	s->trial = WEIR_TRIAL_SILENCE;
	s->passes = 0;
	s->x = 0;
	s->from_ns = now_ns;
	s->from_accepted = a->accepted;
	s->last_ns = now_ns;
	s->trial_x = 0;
	s->cap = 0;
	out->paced = true;
}

/* It did not end: what it says is not known. */
static void give_up(struct refusal_state *s, struct weir_refusal_advice *out, uint64_t from_ns, uint64_t now_ns)
{
	s->trial = WEIR_TRIAL_NONE;
	s->meaning = WEIR_REFUSAL_UNKNOWN;
	s->x = s->n = s->score = s->trial_x = 0;
	s->again[OF_STATUS] = again_at(now_ns, (now_ns - from_ns) / RATE_SECOND + 1);
	s->tries[OF_STATUS] = at_most(s->tries[OF_STATUS] + 1, AGAIN_MAX);
	out->counts = false;
	out->rates = WEIR_RATE_FORGETS;
}

void refusal_hear_in_silence(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			     uint64_t now_ns)
{
	bool refused = s->trial_x != 0;
	uint64_t longest =
		s->status >= 500 ? SILENCE_DOWN_NS : SILENCE_NS << SILENCE_MORE * at_most(s->tries[OF_STATUS], SILENCE_TRIES);

	if (a->admitted_ns < s->from_ns)
		return;
	if (a->kind != WEIR_HEARD_GOOD) {
		s->trial_x++;
		s->last_ns = now_ns;
		if (now_ns - s->from_ns >= longest)
			give_up(s, out, s->from_ns, now_ns);
		return;
	}
	s->trial = WEIR_TRIAL_NONE;
	s->tries[OF_STATUS] = 0;
	s->again[OF_STATUS] = 0;
	s->base_accepted = s->seen_accepted = a->accepted;
	s->n = s->score = s->most = s->least = s->below = s->looking = s->trial_x = 0;
	s->block = 0;
	s->last_accepted = a->accepted;
	s->passes = 1; /* by silence: see refusal_hear_learned */
	if (!refused || a->admitted_ns < s->last_ns || a->admitted_ns - s->last_ns < BAN_LEAST_NS) {
		s->passes = 0;
		s->meaning = WEIR_REFUSAL_UNKNOWN;
		out->rates = WEIR_RATE_FORGETS;
	}
}

/* Whether refusals come so soon again although distance is kept that it is from no ban. */
static bool no_ban(uint32_t events, uint64_t good)
{
	return (events >= BAN_EVENTS && good < (uint64_t)BAN_GOOD * events) ||
	       (events >= BAN_EVENTS_SOON && good < (uint64_t)BAN_GOOD_SOON * events);
}

void refusal_hear_learned(struct refusal_state *s, const struct weir_refusal_answer *a, struct weir_refusal_advice *out,
			  uint64_t now_ns)
{
	if (s->x == 0 || now_ns < s->first_ns || (a->accepted != s->first_accepted && a->admitted_ns >= s->first_ns)) {
		uint64_t before = s->block != 0 ? s->first_accepted : s->last_accepted;

		s->x = 0;
		s->first_ns = now_ns;
		s->first_accepted = a->accepted;
		s->block = at_most(s->block + (a->accepted - before < BAN_GOOD_NONE ? 2 : 1), UINT16_MAX);
	}
	s->x++;
	if (s->passes != 0 && no_ban(s->block, a->accepted - s->last_accepted)) {
		give_up(s, out, now_ns, now_ns);
		s->meaning = WEIR_REFUSAL_CHANCE;
		ask_later(s, OF_STATUS, now_ns);
		return;
	}
	if (s->status >= 500 ? s->x > BLOCK / 2 && now_ns - s->first_ns >= SILENCE_DOWN_NS
			     : s->x >= LEARNED_LOOKS && now_ns - s->first_ns >= SILENCE_MOST_NS)
		give_up(s, out, s->first_ns, now_ns);
}
