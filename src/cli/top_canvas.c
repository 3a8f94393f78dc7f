/* SPDX-License-Identifier: MIT */
#include "src/cli/top_canvas.h"

#include <stdlib.h>
#include <string.h>

#define SIDE_MAX   4096
#define LOWEST_BAR 0x2581 /* a block of one eighth; those of two to eight eighths follow */
#define BARS       8

bool weir_canvas_make(struct weir_canvas *c, int rows, int columns, bool unicode)
{
	memset(c, 0, sizeof *c);
	if (rows < 1 || columns < 1 || rows > SIDE_MAX || columns > SIDE_MAX)
		return false;
	c->cell = calloc((size_t)rows * (size_t)columns, sizeof *c->cell);
	if (!c->cell)
		return false;
	c->rows = rows;
	c->columns = columns;
	c->unicode = unicode;
	for (int i = 0; i < rows * columns; i++)
		c->cell[i].c = ' ';
	return true;
}

void weir_canvas_free(struct weir_canvas *c)
{
	free(c->cell);
	memset(c, 0, sizeof *c);
}

static void set(struct weir_canvas *c, int row, int column, enum weir_style style, uint32_t character)
{
	if (row < 0 || row >= c->rows || column < 0 || column >= c->columns)
		return;
	c->cell[row * c->columns + column] = (struct weir_cell){character, style};
}

static uint32_t shown(char byte)
{
	unsigned char b = (unsigned char)byte;
	return b >= 0x20 && b < 0x7f ? b : '?';
}

void weir_canvas_put(struct weir_canvas *c, int row, int column, int width, enum weir_style style, const char *text)
{
	int length = (int)strnlen(text, SIDE_MAX);
	for (int i = 0; i < width; i++) {
		uint32_t character = i < length ? shown(text[i]) : ' ';
		set(c, row, column + i, style, i == width - 1 && length > width ? '~' : character);
	}
}

void weir_canvas_put_right(struct weir_canvas *c, int row, int column, int width, enum weir_style style, const char *text)
{
	int length = (int)strnlen(text, SIDE_MAX);
	if (length >= width) {
		weir_canvas_put(c, row, column, width, style, text);
		return;
	}
	weir_canvas_put(c, row, column, width - length, style, "");
	weir_canvas_put(c, row, column + width - length, length, style, text);
}

void weir_canvas_spark(struct weir_canvas *c, int row, int column, int width, enum weir_style style, const double *value,
		       int count)
{
	static const char ascii[BARS + 1] = ".,:-=+*#";
	double most = 0;
	int first = count > width ? count - width : 0, shift = count < width ? width - count : 0;
	for (int i = first; i < count; i++)
		most = value[i] > most ? value[i] : most;
	for (int i = 0; i < width; i++)
		set(c, row, column + i, style, ' ');
	for (int i = first; i < count; i++) {
		int bar = most > 0 ? (int)(value[i] / most * (BARS - 1) + 0.5) : 0;
		if (value[i] < 0)
			continue;
		bar = bar < BARS ? bar : BARS - 1;
		set(c, row, column + shift + i - first, style, c->unicode ? LOWEST_BAR + (uint32_t)bar : (uint32_t)ascii[bar]);
	}
}

static void print_character(uint32_t c, FILE *out)
{
	if (c < 0x80)
		fputc((int)c, out);
	else
		fprintf(out, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
}

void weir_canvas_print(const struct weir_canvas *c, FILE *out)
{
	for (int row = 0; row < c->rows; row++) {
		const struct weir_cell *line = &c->cell[row * c->columns];
		int end = c->columns;
		while (end > 0 && line[end - 1].c == ' ')
			end--;
		for (int i = 0; i < end; i++)
			print_character(line[i].c, out);
		fputc('\n', out);
	}
}
