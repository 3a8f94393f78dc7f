/* SPDX-License-Identifier: MIT */
#include "src/preload/core/flight.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/hook.h"
#include "weir/opaque.h"

static WEIR_THREAD_LOCAL struct {
	uintptr_t frame; /* of the hook whose request is in hand, 0 = none */
	uint32_t number;
	uint32_t process; /* weir_process_serial() when it began */
	enum weir_flight_kind kind;
	uint32_t lease;            /* of the last request */
	int (*ask)(uint16_t port); /* see weir_flight_watch */
	int (*expected_by)(uint16_t port);
	struct weir_request request;
} hand;

static void end_leftover(void)
{
	const struct weir_gate *g = weir_attached();
	/* Out of connect one jumps because it takes too long. Of an exchange that was left nothing is known. */
	struct weir_result left = {.outcome = hand.kind == WEIR_FLIGHT_CONNECT ? WEIR_FAILED : WEIR_IGNORED,
				   .timed_out = hand.kind == WEIR_FLIGHT_CONNECT};
	int saved = errno;

	hand.frame = 0;
	hand.number++;
	if (!g || hand.process != weir_process_serial())
		return;
	if (hand.request.phase == WEIR_PHASE_ADMITTED)
		weir_gate_settle(g, &hand.request, &left, weir_now_ns());
	else
		weir_gate_cancel(g, &hand.request, weir_now_ns());
	errno = saved;
}

bool weir_flight_inside(uintptr_t frame)
{
	if (hand.frame == 0)
		return false;
	if (frame < hand.frame)
		return true;
	end_leftover();
	return false;
}

struct weir_flight weir_flight_begin(uintptr_t frame, enum weir_flight_kind kind, struct weir_request *spare)
{
	if (weir_flight_inside(frame)) {
		spare->phase = WEIR_PHASE_IDLE;
		return (struct weir_flight){.request = spare, .number = 0};
	}
	hand.request.phase = WEIR_PHASE_IDLE;
	hand.kind = kind;
	hand.ask = NULL;
	hand.process = weir_process_serial();
	if (++hand.number == 0)
		hand.number = 1;
	hand.frame = frame;
	return (struct weir_flight){.request = &hand.request, .number = hand.number};
}

void weir_flight_watch(int (*ask)(uint16_t port))
{
	hand.ask = ask;
}

void weir_flight_expect(int (*ask)(uint16_t port))
{
	hand.expected_by = ask;
}

bool weir_flight_expects(void)
{
	return hand.expected_by != NULL;
}

int weir_flight_ask(uint16_t port)
{
	int (*ask)(uint16_t) = hand.expected_by ? hand.expected_by : hand.ask;

	hand.expected_by = NULL;
	return ask ? ask(port) : 0;
}

bool weir_flight_has(uint32_t number)
{
	return hand.frame != 0 && hand.number == number && hand.process == weir_process_serial();
}

bool weir_flight_end(const struct weir_flight *f, struct weir_request *spare)
{
	if (f->number == 0)
		return true;
	if (hand.number != f->number || hand.frame == 0)
		return false;
	if (hand.request.lease != WEIR_NONE)
		hand.lease = hand.request.lease;
	memcpy(spare, &hand.request, weir_opaque(sizeof *spare));
	hand.frame = 0;
	return hand.process == weir_process_serial();
}

void weir_flight_abandon(void)
{
	if (hand.frame != 0) {
		hand.kind = WEIR_FLIGHT_PERFORM;
		end_leftover();
	}
}

uint32_t weir_flight_lease_hint(void)
{
	return hand.lease;
}
