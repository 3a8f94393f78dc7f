/* SPDX-License-Identifier: MIT */
/* What tells of alerts, and what is said of them: `weir status`, `weir alert`, `weir check`, /healthz. */
#include "alerts_stage.h"

static void health_status_and_check_tell_of_it(void **state)
{
	struct scene *scene = *state;
	configure(scene, "true", LONG_WINDOW);
	free(WEIR_EXPECT(scene, 0, "check"));
	ask(scene, HOST, WEIR_FAILED, 10);
	EXPECT_SOON(scene, "alert: " HOST ": 100% of requests failed (threshold 10%), since ", "status");
	free(WEIR_EXPECT(scene, 1, "status"));
	char *said = WEIR_EXPECT(scene, 2, "check");
	assert_contains(said,
			"WEIR CRITICAL - " HOST ": 100% of requests failed (threshold 10%) | 'hosts'=1;;;0 'requests'=10c ");
	assert_contains(said, " 'error_rate'=100%;;;0;100");
	assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
	free(said);
	said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
	assert_contains(said, "\"health\":\"unhealthy\"");
	free(said);
	said = WEIR_EXPECT(scene, 0, "alert");
	assert_contains(said, HOST ": 100% of requests failed (threshold 10%), since ");
	free(said);
	/* Whoever looks after it says so. It is no less true. */
	free(WEIR_EXPECT(scene, 0, "alert", "ack", "a.example.org", "error_rate"));
	said = WEIR_EXPECT(scene, 2, "check", "a.example.org");
	free(said);
	said = WEIR_EXPECT(scene, 0, "alert", "list");
	assert_contains(said, ", acknowledged\n");
	free(said);
	free(WEIR_EXPECT(scene, 1, "alert", "ack", "a.example.org", "queue"));
	free(WEIR_EXPECT(scene, 64, "alert", "ack", "a.example.org", "nothing"));
	/* Silent, it does not count. */
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "a.example.org", "1h"));
	free(WEIR_EXPECT(scene, 0, "check"));
	said = WEIR_EXPECT(scene, 0, "alert", "list", "--json");
	assert_contains(said, "\"health\":\"healthy\"");
	assert_contains(said, "\"silences\":[{\"host\":\"" HOST "\",\"until\":\"");
	free(said);
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "a.example.org", "off"));
	free(WEIR_EXPECT(scene, 2, "check"));
	free(WEIR_EXPECT(scene, 64, "alert", "silence", "a.example.org", "soon"));
	free(WEIR_EXPECT(scene, 0, "alert", "silence", "*", "1h"));
	free(WEIR_EXPECT(scene, 0, "check"));
}

static void limits_of_check_are_compared_with_each_host(void **state)
{
	struct scene *scene = *state;
	configure(scene, "true", "error_rate = false; window = \"1h\";");
	ask(scene, HOST, WEIR_SUCCEEDED, 90);
	ask(scene, HOST, WEIR_FAILED, 10);
	ask(scene, "b.example.org:443", WEIR_SUCCEEDED, 100);
	EXPECT_SOON(scene, "'error_rate'=10%", "check");
	char *said = WEIR_EXPECT(scene, 1, "check", "-w", "error_rate=5%,latency=9s", "-c", "error_rate=20%");
	assert_contains(said, "WEIR WARNING - " HOST ": error_rate is 10% (threshold 5%) | ");
	assert_contains(said, "'error_rate'=10%;5;20;0;100");
	assert_contains(said, "'latency'=0.0");
	free(said);
	free(WEIR_EXPECT(scene, 2, "check", "-c", "error_rate=10%"));
	free(WEIR_EXPECT(scene, 0, "check", "-c", "error_rate=10.1%"));
	free(WEIR_EXPECT(scene, 2, "check", "-c", "latency=1ms"));
	free(WEIR_EXPECT(scene, 0, "check", "b.example.org", "-c", "error_rate=1%"));
	/* What cannot be told is unknown, and not well. */
	free(WEIR_EXPECT(scene, 3, "check", "nobody.example.org"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "error_rate=many"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "error_rate=5"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "luck=5%"));
	free(WEIR_EXPECT(scene, 3, "check", "-w", "latency="));
	free(WEIR_EXPECT(scene, 3, "check", "--luck"));
}

static void without_a_command_there_is_nothing_to_test(void **state)
{
	struct scene *scene = *state;
	scene_configure(scene, "alerts = false;\n");
	free(WEIR_EXPECT(scene, 64, "alert", "test"));
	free(WEIR_EXPECT(scene, 64, "alert", "nothing"));
	free(WEIR_EXPECT(scene, 64, "alert", "silence", "a.example.org"));
	free(WEIR_EXPECT(scene, 1, "alert", "ack", "a.example.org"));
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(health_status_and_check_tell_of_it),
		SCENE(limits_of_check_are_compared_with_each_host),
		SCENE(without_a_command_there_is_nothing_to_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
