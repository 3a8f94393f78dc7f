/* SPDX-License-Identifier: MIT */
#include "weir/meaning.h"

#define SECOND UINT64_C(1000000000)

/* A time-out below this is the client's impatience and not the host's failure, nor is one below PATIENCE times the latency. */
#define TIMEOUT_MIN_NS SECOND
#define PATIENCE       4
/* ... unless for so long nothing else has come back. */
#define SILENT_NS (10 * SECOND)

/* Good answers must stay away for this long before bad ones mean that the host is down. */
#define QUIET_MIN_NS SECOND
#define QUIET_MAX_NS (60 * SECOND)

/* After so long what a host was like is no evidence any more. */
#define MEMORY_NS (600 * SECOND)

#define LATENCY_MAX_NS (3600 * SECOND)
#define RUN_MAX        64U
#define LOOKS          3U /* bad answers beyond the configured run from a host that answered well just before */

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static uint32_t load32(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static uint64_t since(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns < now_ns ? now_ns - then_ns : 0;
}

static void end_run(struct weir_meaning *m, uint32_t run)
{
	uint32_t bad = load32(&m->bad_ppm), longest = load32(&m->longest);

	if (run == 0 && bad < 32)
		return;
	bad = bad > 1000000 ? 1000000 : bad;
	run = run > RUN_MAX ? RUN_MAX : run;
	for (uint32_t i = 0; i < run; i++)
		bad += (1000000 - bad) / 32;
	atomic_store_explicit(&m->bad_ppm, bad - bad / 32, memory_order_relaxed);
	if (run > longest)
		atomic_store_explicit(&m->longest, run, memory_order_relaxed);
}

void weir_meaning_heard(struct weir_meaning *m)
{
	if (load(&m->silent_ns) != 0)
		atomic_store_explicit(&m->silent_ns, 0, memory_order_relaxed);
}

void weir_meaning_good(struct weir_meaning *m, uint64_t latency_ns, uint64_t now_ns)
{
	uint64_t last = load(&m->succeeded_ns), usual = weir_meaning_usual_ns(m), gap = load(&m->gap_ns);
	uint64_t apart = last != 0 ? since(last, now_ns) : 0;

	weir_meaning_heard(m);
	latency_ns = latency_ns < LATENCY_MAX_NS ? latency_ns : LATENCY_MAX_NS;
	/* The first may be an early one. */
	usual = usual == 0 ? latency_ns + latency_ns / 2 : usual - usual / 8 + latency_ns / 8;
	gap = apart > gap - gap / 16 ? apart : gap - gap / 16;
	end_run(m, load32(&m->run) != 0 ? atomic_exchange_explicit(&m->run, 0, memory_order_relaxed) : 0);
	atomic_store_explicit(&m->usual_ns, usual, memory_order_relaxed);
	atomic_store_explicit(&m->gap_ns, gap < QUIET_MAX_NS ? gap : QUIET_MAX_NS, memory_order_relaxed);
	atomic_store_explicit(&m->succeeded_ns, now_ns, memory_order_relaxed);
}

void weir_meaning_late(struct weir_meaning *m, uint64_t took_ns)
{
	uint64_t usual = weir_meaning_usual_ns(m);

	took_ns = took_ns < LATENCY_MAX_NS ? took_ns : LATENCY_MAX_NS;
	if (usual != 0 && took_ns > usual)
		atomic_store_explicit(&m->usual_ns, usual + (took_ns - usual) / 8, memory_order_relaxed);
}

void weir_meaning_bad(struct weir_meaning *m)
{
	weir_meaning_heard(m);
	atomic_fetch_add_explicit(&m->run, 1, memory_order_relaxed);
}

bool weir_meaning_known(const struct weir_meaning *m, uint64_t now_ns)
{
	uint64_t last = load(&m->succeeded_ns);

	return last != 0 && since(last, now_ns) < MEMORY_NS;
}

uint32_t weir_meaning_run(const struct weir_meaning *m, uint32_t failures, uint64_t now_ns)
{
	uint64_t bad = load32(&m->bad_ppm), chance = 1000000000;
	uint32_t longest = load32(&m->longest), run = 0;

	if (!weir_meaning_known(m, now_ns))
		return failures;
	bad = bad > 1000000 ? 1000000 : bad;
	/* As rare as one in 10^8, if bad answers come as often as they did. */
	for (; chance > 10 && run < RUN_MAX; run++)
		chance = chance * bad / 1000000;
	longest = longest > RUN_MAX ? RUN_MAX : longest;
	if (longest != 0 && run < 2 * longest + 2)
		run = 2 * longest + 2;
	run = run > RUN_MAX ? RUN_MAX : run;
	return run > failures + LOOKS || failures > RUN_MAX ? (run > failures ? run : failures) : failures + LOOKS;
}

bool weir_meaning_lives(const struct weir_meaning *m, uint64_t now_ns)
{
	uint64_t gap = load(&m->gap_ns), usual = weir_meaning_usual_ns(m), quiet;

	if (!weir_meaning_known(m, now_ns))
		return false;
	quiet = gap > usual ? gap : usual;
	quiet = quiet < QUIET_MAX_NS / 4 ? 4 * quiet : QUIET_MAX_NS;
	return since(load(&m->succeeded_ns), now_ns) < (quiet > QUIET_MIN_NS ? quiet : QUIET_MIN_NS);
}

bool weir_meaning_blames(struct weir_meaning *m, uint64_t sent_ns, uint64_t now_ns)
{
	uint64_t usual = weir_meaning_usual_ns(m), silent = load(&m->silent_ns), took = since(sent_ns, now_ns);

	if (silent == 0 || silent > now_ns) {
		silent = sent_ns < now_ns ? sent_ns : now_ns;
		atomic_store_explicit(&m->silent_ns, silent, memory_order_relaxed);
	}
	if (took >= TIMEOUT_MIN_NS && took >= PATIENCE * usual)
		return true;
	return since(silent, now_ns) >= SILENT_NS;
}

bool weir_meaning_good_since(const struct weir_meaning *m, uint64_t sent_ns, uint64_t now_ns)
{
	uint64_t last = load(&m->succeeded_ns);

	return last > sent_ns && last <= now_ns;
}

uint64_t weir_meaning_usual_ns(const struct weir_meaning *m)
{
	uint64_t usual = load(&m->usual_ns);

	return usual < LATENCY_MAX_NS ? usual : LATENCY_MAX_NS;
}

void weir_meaning_clear(struct weir_meaning *m)
{
	atomic_store_explicit(&m->succeeded_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&m->silent_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&m->gap_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&m->usual_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&m->run, 0, memory_order_relaxed);
	atomic_store_explicit(&m->longest, 0, memory_order_relaxed);
	atomic_store_explicit(&m->bad_ppm, 0, memory_order_relaxed);
	atomic_store_explicit(&m->outage_ns, 0, memory_order_relaxed);
}
