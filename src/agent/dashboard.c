/* SPDX-License-Identifier: MIT */
#include "src/agent/dashboard.h"

#include <stdio.h>
#include <string.h>

/* The file as it is; make knows that this object depends on it. */
__asm__(".section .rodata\n"
	"weir_dashboard_begin: .incbin \"src/agent/dashboard.html\"\n"
	"weir_dashboard_end: .byte 0\n"
	".previous\n");
extern const char weir_dashboard_begin[], weir_dashboard_end[];

static const char placeholder[] = "@NONCE@";

char *weir_dashboard_page(const char *nonce, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);
	const char *from = weir_dashboard_begin;
	if (!out)
		return NULL;
	for (const char *at; (at = strstr(from, placeholder)); from = at + sizeof placeholder - 1) {
		fwrite(from, 1, (size_t)(at - from), out);
		fputs(nonce, out);
	}
	fwrite(from, 1, (size_t)(weir_dashboard_end - from), out);
	return fclose(out) == 0 ? text : NULL;
}
