/* SPDX-License-Identifier: MIT */
/*
 * Time namespaces: CLOCK_MONOTONIC is ahead or behind by an offset that was chosen when the namespace was made. Two namespaces
 * with the same offset have the same clock. The number of a namespace would not do as a name: it is given out again when the
 * namespace is gone.
 */
#include "weir/runtime.h"

#include <string.h>

#include "weir/kernel.h"

#define OWN                "/proc/self/ns/time"
#define OF_CHILDREN        "/proc/self/ns/time_for_children"
#define OFFSETS            "/proc/self/timens_offsets" /* of the namespace for children */
#define CLOCK              "monotonic"
#define OF_THE_MACHINE_INO UINT64_C(0xeffffffa) /* PROC_TIME_INIT_INO of the kernel */
#define SECOND_NS          UINT64_C(1000000000)

/* The number at *at behind spaces, its sign included; moves behind it. */
static uint64_t number(const char **at)
{
	uint64_t n = 0;
	bool negative;

	while (**at == ' ' || **at == '\t')
		(*at)++;
	negative = **at == '-';
	if (negative)
		(*at)++;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		n = n * 10 + (uint64_t)(**at - '0');
	return negative ? 0 - n : n;
}

/* "monotonic  SECONDS  NANOSECONDS" */
static uint64_t offset_ns(void)
{
	char text[256];
	const char *at;
	uint64_t seconds;
	int fd = weir_open(OFFSETS, O_RDONLY | O_CLOEXEC, 0);
	long n = fd < 0 ? 0 : weir_read(fd, text, sizeof text - 1);

	if (fd >= 0)
		weir_close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, CLOCK);
	if (!at)
		return 0;
	at += strlen(CLOCK);
	seconds = number(&at);
	return seconds * SECOND_NS + number(&at);
}

uint64_t weir_clock_offset(void)
{
	struct stat own, children;

	if (weir_stat(OWN, &own) != 0 || own.st_ino == OF_THE_MACHINE_INO)
		return 0;
	/* Whoever has made a namespace for its children is in another one, whose offset nobody tells. */
	if (weir_stat(OF_CHILDREN, &children) != 0 || children.st_ino != own.st_ino)
		return own.st_ino;
	return offset_ns();
}
