/* SPDX-License-Identifier: MIT */
/*
 * The formatter: a small printf that neither allocates nor knows a locale, so that it may run anywhere in a host process.
 *
 *   %s %c %% %d %i %u %x       with the lengths l, ll and z for the integers
 *   width                      %5u, %05u, %-8s, %*u; at most WIDTH_MAX
 *   precision, for %s alone    %.12s, %.*s
 *
 * Anything else is copied as it stands, and its argument is not consumed: the compiler's format check finds most such mistakes.
 */
#include "weir/log.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>

#include "src/log/format.h"

#define WIDTH_MAX  4096
#define DIGITS_MAX 24 /* of a 64-bit number in decimal, and its sign */

struct sink {
	char *out;
	size_t room; /* without the NUL */
	size_t used;
};

struct conversion {
	bool left, zero;
	int width;
	int precision; /* -1: none */
	int longs;     /* 0, 1 = l, 2 = ll; z counts as l */
	char kind;
};

static void put(struct sink *s, char c)
{
	if (s->used < s->room)
		s->out[s->used++] = c;
}

static void put_padded(struct sink *s, const struct conversion *c, const char *text, size_t length)
{
	size_t width = c->width > 0 ? (size_t)c->width : 0;
	size_t padding = width > length ? width - length : 0;
	char pad = c->zero && !c->left ? '0' : ' ';

	if (pad == '0' && length > 0 && text[0] == '-') {
		put(s, '-');
		text++;
		length--;
	}
	for (size_t i = 0; i < padding && !c->left; i++)
		put(s, pad);
	for (size_t i = 0; i < length; i++)
		put(s, text[i]);
	for (size_t i = 0; i < padding && c->left; i++)
		put(s, ' ');
}

static void put_text(struct sink *s, struct conversion *c, const char *text)
{
	size_t length = 0;
	size_t most = c->precision >= 0 ? (size_t)c->precision : s->room;

	if (!text)
		text = "(null)";
	while (length < most && text[length] != '\0')
		length++;
	c->zero = false;
	put_padded(s, c, text, length);
}

static void put_number(struct sink *s, const struct conversion *c, unsigned long long value, bool negative)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof digits;
	unsigned base = c->kind == 'x' ? 16 : 10;

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative)
		digits[--at] = '-';
	put_padded(s, c, digits + at, sizeof digits - at);
}

/* Reads a decimal number at *p; at most WIDTH_MAX. */
static int small_number(const char **p)
{
	int n = 0;

	while (**p >= '0' && **p <= '9') {
		n = n * 10 + (**p - '0');
		if (n > WIDTH_MAX)
			n = WIDTH_MAX;
		(*p)++;
	}
	return n;
}

static int bounded(int n)
{
	return n > WIDTH_MAX ? WIDTH_MAX : n < -WIDTH_MAX ? -WIDTH_MAX : n;
}

/* Reads what follows a '%' up to and with the letter. Returns the position behind it. */
static const char *read_conversion(const char *p, struct conversion *c, va_list *arguments)
{
	*c = (struct conversion){.precision = -1};
	for (; *p == '0' || *p == '-'; p++) {
		c->zero = c->zero || *p == '0';
		c->left = c->left || *p == '-';
	}
	if (*p == '*') {
		c->width = bounded(va_arg(*arguments, int));
		p++;
	} else {
		c->width = small_number(&p);
	}
	if (c->width < 0) {
		c->left = true;
		c->width = -c->width;
	}
	if (*p == '.') {
		p++;
		if (*p == '*') {
			c->precision = va_arg(*arguments, int); /* negative: none, as in C */
			p++;
		} else {
			c->precision = small_number(&p);
		}
	}
	for (; *p == 'l' || *p == 'z'; p++)
		c->longs++;
	c->kind = *p;
	return *p != '\0' ? p + 1 : p;
}

static void put_signed(struct sink *s, const struct conversion *c, va_list *arguments)
{
	long long value = c->longs >= 2   ? va_arg(*arguments, long long)
			  : c->longs == 1 ? va_arg(*arguments, long)
					  : va_arg(*arguments, int);

	put_number(s, c, value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value, value < 0);
}

static void put_unsigned(struct sink *s, const struct conversion *c, va_list *arguments)
{
	unsigned long long value = c->longs >= 2   ? va_arg(*arguments, unsigned long long)
				   : c->longs == 1 ? va_arg(*arguments, unsigned long)
						   : va_arg(*arguments, unsigned);

	put_number(s, c, value, false);
}

size_t weir_vformat(char *out, size_t size, const char *format, va_list arguments)
{
	struct sink s = {out, size > 0 ? size - 1 : 0, 0};
	va_list rest;

	va_copy(rest, arguments);
	while (*format != '\0' && s.used < s.room) {
		struct conversion c;
		const char *begin = format;

		if (*format++ != '%') {
			put(&s, *begin);
			continue;
		}
		format = read_conversion(format, &c, &rest);
		if (c.kind == 's') {
			put_text(&s, &c, va_arg(rest, const char *));
		} else if (c.kind == 'c') {
			put(&s, (char)va_arg(rest, int));
		} else if (c.kind == 'd' || c.kind == 'i') {
			put_signed(&s, &c, &rest);
		} else if (c.kind == 'u' || c.kind == 'x') {
			put_unsigned(&s, &c, &rest);
		} else if (c.kind == '%') {
			put(&s, '%');
		} else {
			while (begin < format)
				put(&s, *begin++);
		}
	}
	va_end(rest);
	if (size > 0)
		out[s.used] = '\0';
	return s.used;
}

size_t weir_format(char *out, size_t size, const char *format, ...)
{
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	length = weir_vformat(out, size, format, arguments);
	va_end(arguments);
	return length;
}
