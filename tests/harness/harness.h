/* Everything an integration test needs, in one line: #include "tests/harness/harness.h".
 *
 * A test is a function over a scene: a temporary directory with a runtime directory of its own, in
 * which it starts quotad and runs commands bare or under weir.
 *
 *	static void a_redirect_is_followed(void **state)
 *	{
 *		struct scene *scene = *state;
 *		struct quotad *server = quotad_start(scene->dir, NULL);
 *		const char *argv[] = {"curl", "-sL", quotad_url(server, "/redirect-https"), NULL};
 *		struct command curl = {.argv = argv, .dir = scene->dir};
 *
 *		assert_same_with_and_without_weir(&curl, SAME_OUTPUT);
 *	}
 *
 *	cmocka_unit_test_setup_teardown(a_redirect_is_followed, scene_setup, scene_teardown)
 *
 * Functions that cannot do their work fail the test; they return no errors. None is thread-safe: call
 * them from the thread that runs the tests. */
#ifndef HARNESS_HARNESS_H
#define HARNESS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/agent.h"
#include "tests/harness/command.h"
#include "tests/harness/file.h"
#include "tests/harness/http.h"
#include "tests/harness/quotad.h"
#include "tests/harness/requirement.h"
#include "tests/harness/same.h"
#include "tests/harness/scene.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/wait.h"

#endif
