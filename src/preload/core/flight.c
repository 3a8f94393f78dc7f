/* SPDX-License-Identifier: MIT */
#include "src/preload/core/flight.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/room.h"
#include "weir/kernel.h"
#include "weir/opaque.h"

#define HANDS 8 /* a power of two: a flight is found by its number, also when these begin anew */
/* A call that runs inside a hook takes at least so much of the stack below it, and libcurl has got as far as connect by then (1.1
 * to 1.9 KiB, 7.88): frames that are nearer to each other are on one stack. */
#define REACH 4096
/* So far below it another library's connect behind ours may lie, or a signal handler. */
#define INSIDE_LEAF 65536
/* Linux keeps so much below the main thread's stack free of other mappings (arch/x86/mm/mmap.c, mm/util.c: MIN_GAP). */
#define MAIN_STACK (UINT64_C(128) << 20)

struct hand {
	uint32_t number;  /* 0 = free */
	uint32_t process; /* weir_process_serial() when it began */
	enum weir_flight_kind kind;
	uintptr_t frame; /* of the hook */
	struct weir_flight_watch watch;
	struct weir_request request;
};

static WEIR_THREAD_LOCAL struct {
	struct hand hand[HANDS];
	struct weir_flight_watch expected; /* ask NULL = no connect is */
	uint32_t number;                   /* of the last one */
	uint32_t lease;                    /* of the last request */
	bool watched;                      /* its end will be told */
} mine;

/* Two frames of the calling thread, `low` below `high`. False also where that cannot be told. */
static bool on_one_stack(uintptr_t low, uintptr_t high)
{
	/* The random bytes that the kernel gives a program lie above the main thread's first frame. */
	uintptr_t top = high - low < REACH ? 0 : getauxval(AT_RANDOM);

	return high - low < REACH || (high < top && top - low < MAIN_STACK);
}

/* A handler on a stack of its own may interrupt a call that lies anywhere. */
__attribute__((noinline)) static bool in_handler(void)
{
	stack_t s = {.ss_flags = 0};

	return weir_kernel_allows(SYS_sigaltstack) && weir_syscall(SYS_sigaltstack, NULL, &s) == 0 &&
	       (s.ss_flags & SS_ONSTACK) != 0;
}

static bool in_use(struct hand *h)
{
	/* A forked child has nothing in hand. */
	if (h->number != 0 && h->process != weir_process_serial())
		h->number = 0;
	return h->number != 0;
}

static bool is_leaf(const struct hand *h)
{
	return h->kind != WEIR_FLIGHT_PERFORM;
}

static struct hand *find(uint32_t number)
{
	struct hand *h = &mine.hand[number % HANDS];

	return number != 0 && h->number == number ? h : NULL;
}

__attribute__((noinline)) static void end_leftover(struct hand *h)
{
	const struct weir_gate *g = weir_attached();
	/* Out of connect one jumps because it takes too long. Of an exchange that was left nothing is known. */
	struct weir_result left = {.outcome = h->kind == WEIR_FLIGHT_CONNECT ? WEIR_FAILED : WEIR_IGNORED,
				   .timed_out = h->kind == WEIR_FLIGHT_CONNECT};
	int saved = errno;

	h->number = 0;
	if (is_leaf(h))
		weir_gate_await_left();
	if (!g || h->process != weir_process_serial())
		return;
	if (h->request.phase == WEIR_PHASE_ADMITTED)
		weir_gate_settle(g, &h->request, &left, weir_now_ns());
	else
		weir_gate_cancel(g, &h->request, weir_now_ns());
	errno = saved;
}

static void give_permits(struct hand *h)
{
	const struct weir_gate *g = weir_attached();

	if (g)
		weir_gate_release_permits(g, &h->request);
}

static bool is_of(const void *caller, const struct weir_flight_watch *watch)
{
	struct weir_object object;

	return !watch->library || (weir_object_of(caller, &object) && object.link_map == watch->library);
}

static bool surrounds(const struct hand *h, uintptr_t frame, const void *caller)
{
	if (frame >= h->frame)
		return false;
	return is_leaf(h) ? h->frame - frame < INSIDE_LEAF : is_of(caller, &h->watch);
}

/* The nearer one; but of two so near to each other that the outer one's own calls lie below the inner one's frame, the one that
 * began last: it has taken the other's place. */
static bool is_before(const struct hand *h, const struct hand *other)
{
	uintptr_t low = h->frame < other->frame ? h->frame : other->frame,
		  high = h->frame < other->frame ? other->frame : h->frame;

	if (high - low < REACH)
		return (int32_t)(h->number - other->number) > 0;
	return h->frame < other->frame;
}

bool weir_flight_inside(uintptr_t frame, const void *caller, struct weir_flight_watch *watch)
{
	struct hand *inside = NULL;

	if (mine.expected.ask && is_of(caller, &mine.expected)) {
		*watch = mine.expected;
		mine.expected.ask = NULL;
		return true;
	}
	for (struct hand *h = mine.hand; h < mine.hand + HANDS; h++) {
		if (!in_use(h))
			continue;
		if (surrounds(h, frame, caller))
			inside = !inside || is_before(h, inside) ? h : inside;
		else if (is_leaf(h) && !in_handler())
			end_leftover(h);
	}
	if (inside)
		*watch = inside->watch;
	return inside != NULL;
}

bool weir_flight_in_leaf(uintptr_t frame)
{
	for (struct hand *h = mine.hand; h < mine.hand + HANDS; h++) {
		if (in_use(h) && is_leaf(h) && surrounds(h, frame, NULL))
			return true;
	}
	return false;
}

/* The number for a new flight, whose place is free or has been made so: the flight in hand for longest is ended. */
static uint32_t next_number(void)
{
	for (;;) { /* twice at most */
		struct hand *oldest = NULL;

		for (uint32_t i = 1; i <= HANDS; i++) {
			uint32_t number = mine.number + i;
			struct hand *h = &mine.hand[number % HANDS];

			if (h->number == 0)
				return number != 0 ? number : HANDS;
			if (!oldest || mine.number - h->number > mine.number - oldest->number)
				oldest = h;
		}
		end_leftover(oldest);
	}
}

/* --- A thread's end -------------------------------------------------------------------------------------------------------- */

/* The key whose destructor tells of it, + 1; 0: there is none (yet), and what a thread leaves is found by its lease. */
static _Atomic uint32_t key_of_end;

static void thread_over(void *unused)
{
	int saved = errno;

	(void)unused;
	mine.watched = false;
	weir_gate_await_left();
	weir_rooms_thread_over();
	weir_flight_abandon();
	errno = saved;
}

/* Before main the keys are few, and a small one needs no memory beyond what each thread has. */
__attribute__((constructor)) static void make_key(void)
{
	pthread_key_t key;

	if (pthread_key_create(&key, thread_over) == 0)
		atomic_store_explicit(&key_of_end, key + 1, memory_order_release);
}

__attribute__((noinline)) static void watch_thread(void)
{
	uint32_t key = atomic_load_explicit(&key_of_end, memory_order_acquire);

	mine.watched = key != 0 && pthread_setspecific(key - 1, &mine) == 0;
}

void weir_flight_watch_thread(void)
{
	if (!mine.watched)
		watch_thread();
}

struct weir_flight weir_flight_begin(uintptr_t frame, enum weir_flight_kind kind)
{
	struct hand *free;

	for (struct hand *h = mine.hand; h < mine.hand + HANDS; h++) {
		if (!in_use(h))
			continue;
		if (is_leaf(h) && !in_handler())
			end_leftover(h);
		else if (h->frame <= frame && on_one_stack(h->frame, frame))
			give_permits(h);
	}
	mine.expected.ask = NULL;
	weir_flight_watch_thread();
	mine.number = next_number();
	free = &mine.hand[mine.number % HANDS];
	free->request.phase = WEIR_PHASE_IDLE;
	free->kind = kind;
	free->frame = frame;
	free->process = weir_process_serial();
	free->watch = (struct weir_flight_watch){.ask = NULL};
	free->number = mine.number;
	return (struct weir_flight){.request = &free->request, .number = free->number};
}

void weir_flight_expect(const struct weir_flight_watch *watch)
{
	mine.expected = *watch;
}

void weir_flight_watch(const struct weir_flight *f, const struct weir_flight_watch *watch)
{
	struct hand *h = find(f->number);

	if (h)
		h->watch = *watch;
}

/* A handle's transfer may be another thread's, whose numbers are its own. */
static struct hand *find_with(uint32_t number, const void *data)
{
	struct hand *h = find(number);

	return h && in_use(h) && h->watch.data == data ? h : NULL;
}

bool weir_flight_has(uint32_t number, const void *data)
{
	return find_with(number, data) != NULL;
}

void weir_flight_alone(uint32_t number)
{
	for (struct hand *h = mine.hand; h < mine.hand + HANDS; h++) {
		if (h->number != number && in_use(h))
			give_permits(h);
	}
}

bool weir_flight_end(const struct weir_flight *f, struct weir_request *out)
{
	struct hand *h = find(f->number);

	if (!h) {
		memset(out, 0, weir_opaque(sizeof *out));
		return false;
	}
	if (h->request.lease != WEIR_NONE)
		mine.lease = h->request.lease;
	memcpy(out, &h->request, weir_opaque(sizeof *out));
	h->number = 0;
	return h->process == weir_process_serial();
}

void weir_flight_drop(uint32_t number, const void *data)
{
	struct hand *h = find_with(number, data);

	if (h)
		end_leftover(h);
}

bool weir_flight_left(uint32_t number, const void *data, uintptr_t frame)
{
	struct hand *h = find_with(number, data);

	if (!h)
		return true;
	if (h->frame > frame || !on_one_stack(h->frame, frame))
		return false;
	end_leftover(h);
	return true;
}

void weir_flight_abandon(void)
{
	for (struct hand *h = mine.hand; h < mine.hand + HANDS; h++) {
		if (!in_use(h))
			continue;
		h->kind = WEIR_FLIGHT_PERFORM;
		end_leftover(h);
	}
}

uint32_t weir_flight_lease_hint(void)
{
	return mine.lease;
}
