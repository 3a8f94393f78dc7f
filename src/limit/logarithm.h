/* SPDX-License-Identifier: MIT */
/* Floating point without libm: the logarithm, the exponential and a clamp that NaN does not pass. */
#ifndef WEIR_LIMIT_LOGARITHM_H
#define WEIR_LIMIT_LOGARITHM_H

#include <stdint.h>
#include <string.h>

static inline double within(double x, double low, double high)
{
	/* Written so that NaN becomes `low`. */
	if (!(x > low))
		return low;
	return x < high ? x : high;
}

/* Natural logarithm of 2^-60 .. 2^60: exponent and atanh series, good to 1e-9. */
static inline double ln(double x)
{
	uint64_t bits;
	int exponent;
	double z;
	double zz;

	x = within(x, 1e-18, 1e18);
	memcpy(&bits, &x, sizeof(bits));
	exponent = (int)(bits >> 52) - 1023;
	bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
	memcpy(&x, &bits, sizeof(x));
	z = (x - 1) / (x + 1);
	zz = z * z;
	return 0.6931471805599453 * exponent +
	       2 * z * (1 + zz * (1.0 / 3 + zz * (1.0 / 5 + zz * (1.0 / 7 + zz * (1.0 / 9 + zz / 11)))));
}

/* e^y for |y| <= 2: the series at y/4, squared twice. */
static inline double expo(double y)
{
	double q = within(y, -2, 2) / 4;
	double r = 1 + q * (1 + q * (1.0 / 2 + q * (1.0 / 6 + q * (1.0 / 24 + q / 120))));

	r *= r;
	return r * r;
}

#endif
