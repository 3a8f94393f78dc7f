/* SPDX-License-Identifier: MIT */
/* Seeded random text for the tests of parsers: a sample with a few of its bytes changed, or bytes out of the parser's alphabet.
 */
#ifndef WEIR_TESTS_UNIT_FUZZ_H
#define WEIR_TESTS_UNIT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct fuzz {
	uint64_t state;
	const char *const *samples;
	size_t sample_count;
	const char *alphabet; /* what the parser knows the meaning of */
};

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static inline uint64_t fuzz_next(struct fuzz *f)
{
	uint64_t z = f->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline size_t fuzz_below(struct fuzz *f, size_t n)
{
	return (size_t)(fuzz_next(f) % n);
}

static inline char fuzz_char(struct fuzz *f)
{
	size_t known = strlen(f->alphabet);

	if (fuzz_below(f, 8) == 0)
		return (char)(1 + fuzz_below(f, 255));
	return f->alphabet[fuzz_below(f, known)];
}

/* A new text in memory of exactly its size, so that the address sanitizer sees every byte read behind it. The caller frees it. */
static inline char *fuzz_text(struct fuzz *f)
{
	char text[512];
	size_t length = 0;
	char *exact;

	if (fuzz_below(f, 4) == 0) {
		length = fuzz_below(f, 40);
		for (size_t i = 0; i < length; i++)
			text[i] = fuzz_char(f);
	} else {
		const char *sample = f->samples[fuzz_below(f, f->sample_count)];

		length = strnlen(sample, 400);
		memcpy(text, sample, length);
		for (size_t i = fuzz_below(f, 6); i > 0; i--) {
			size_t at = fuzz_below(f, length + 1);
			size_t what = fuzz_below(f, 3);

			if (what == 0 && at < length) {
				text[at] = fuzz_char(f);
			} else if (what == 1 && at < length) {
				memmove(text + at, text + at + 1, length - at - 1);
				length--;
			} else {
				memmove(text + at + 1, text + at, length - at);
				text[at] = fuzz_char(f);
				length++;
			}
		}
	}
	exact = malloc(length + 1);
	memcpy(exact, text, length);
	exact[length] = '\0';
	return exact;
}

#endif
