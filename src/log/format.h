/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SRC_LOG_FORMAT_H
#define WEIR_SRC_LOG_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* weir_format with its arguments in a list; the list is as before afterwards. */
size_t weir_vformat(char *out, size_t size, const char *format, va_list arguments) __attribute__((format(printf, 3, 0)));

#endif
