/* SPDX-License-Identifier: MIT */
/* Characters as protocols see them. The functions of <ctype.h> and <strings.h> depend on the host's locale. */
#ifndef WEIR_SRC_HTTP_ASCII_H
#define WEIR_SRC_HTTP_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ascii_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static inline bool ascii_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline const char *ascii_skip_blanks(const char *p)
{
	while (ascii_blank(*p))
		p++;
	return p;
}

/* Whether `length` characters at text are this word, which is in lower case, whatever their case. */
static inline bool ascii_same(const char *text, size_t length, const char *word)
{
	size_t i = 0;

	while (i < length && word[i] != '\0' && ascii_lower(text[i]) == word[i])
		i++;
	return i == length && word[i] == '\0';
}

/* The value of a hexadecimal digit, -1 for other characters. */
static inline int ascii_hex(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
