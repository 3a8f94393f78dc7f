/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/paid.h"

#include "src/preload/core/hook.h"
#include "weir/gate.h"

#define WITHIN_NS UINT64_C(1000000000)

static WEIR_THREAD_LOCAL struct {
	uint64_t host; /* 0 = none */
	uint64_t until_ns;
	uint64_t address; /* goes when the unit is taken, stays when it is not */
} left;

/* FNV-1a. A collision costs a unit that is not taken. */
uint64_t weir_paid_host(const char *host_port)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *host_port != '\0'; host_port++)
		h = (h ^ (unsigned char)*host_port) * UINT64_C(0x100000001b3);
	return h != 0 ? h : 1;
}

void weir_paid_leave(uint64_t host, uint64_t address)
{
	left.host = host;
	left.address = address;
	left.until_ns = weir_now_ns() + WITHIN_NS;
}

bool weir_paid_left_by(uint64_t address)
{
	return address != 0 && left.address == address;
}

bool weir_paid_take(uint64_t host)
{
	bool there = left.host == host && weir_now_ns() < left.until_ns;

	left.host = 0;
	if (there)
		left.address = 0;
	return there;
}
