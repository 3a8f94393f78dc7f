/* SPDX-License-Identifier: MIT */
/* The version that this object file is of. */
#include "weir/runtime.h"

#include <string.h>

#include "src/runtime/chain.h"

#define MARK "weir-version="

/* As it stands in the file: whoever wants to know a library's version looks for the mark (src/cli/library.c). */
static const char text[] = MARK WEIR_VERSION;

/* Read as it is in memory; the compiler shall not know better. */
const char *weir_version(void)
{
	const char *at = text;

	__asm__("" : "+r"(at));
	return at + sizeof MARK - 1;
}

uint64_t weir_version_number(const char *version)
{
	const char *at = version;
	uint64_t number = 0;

	for (int part = 0; part < 3; part++) {
		uint64_t value = 0;

		for (; *at >= '0' && *at <= '9'; at++)
			value = value * 10 + (uint64_t)(*at - '0') > 0xffff ? 0xffff : value * 10 + (uint64_t)(*at - '0');
		if (*at == '.')
			at++;
		number = number << 16 | value;
	}
	return number << 16 | (weir_hash_text(version) & 0xffff);
}

bool weir_version_newer(uint64_t a, uint64_t b)
{
	return a >> 16 > b >> 16;
}
