#include "tests/harness/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void harness_fail_at(const char *file, int line, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	print_error("%s\n", text == NULL ? format : text);
	free(text);
	_fail(file, line);
	abort(); /* _fail does not come back */
}
