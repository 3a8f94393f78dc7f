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

static void a_refused_configuration_is_a_warning(void **state)
{
	struct scene *scene = *state;

	scene_configure(scene, "alerts = {};\n");
	free(WEIR_EXPECT(scene, 0, "check"));
	/* What was good stays in force. */
	scene_write_configuration(scene, "luck = 1;\n");
	EXPECT_SOON(scene, "WEIR WARNING - the configuration as it is now was refused | ", "check");
	free(WEIR_EXPECT(scene, 1, "check"));
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

static void a_narrowed_rules_alert_is_its_hosts_too(void **state)
{
	struct scene *scene = *state;
	struct quotad *server = quotad_start(scene->dir, (const char *const[]){"--error-mix", "500:1", NULL});
	char host[64], narrowed[96], shell[300], told[160];

	scene_configure(
		scene,
		"alerts = { error_rate = false; };\ndefaults = { breaker = false; rate = false; concurrency = false; };\n"
		"hosts = ( { match = \"127.0.0.1\"; path = \"/Search/*\"; alerts = { error_rate = \"1%\"; min_samples = 3; "
		"window = \"1h\"; for = \"0s\"; }; } );\n");
	free(WEIR_EXPECT(scene, 0, "alert", "list"));
	snprintf(host, sizeof host, "127.0.0.1:%d", server->http_port);
	snprintf(narrowed, sizeof narrowed, "%s#/Search/*", host);
	snprintf(shell, sizeof shell, "for i in 1 2 3 4; do curl -s -o /dev/null http://%s/Search/x; done", host);
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = scene->dir};
	struct outcome o = command_run(&c);

	outcome_free(&o);
	snprintf(told, sizeof told, "%s: 100%% of requests failed (threshold 1%%)", narrowed);
	EXPECT_SOON(scene, told, "alert");
	free(WEIR_EXPECT(scene, 2, "check", host));
	free(WEIR_EXPECT(scene, 0, "alert", "ack", narrowed));
	free(WEIR_EXPECT(scene, 0, "alert", "silence", narrowed, "1h"));
	free(WEIR_EXPECT(scene, 0, "check", host));
	free(WEIR_EXPECT(scene, 0, "alert", "silence", narrowed, "off"));
	free(WEIR_EXPECT(scene, 2, "check"));
	free(WEIR_EXPECT(scene, 0, "alert", "silence", host, "1h"));
	free(WEIR_EXPECT(scene, 0, "check"));
	/* Nothing is made by the name of one, and none that is not there is made quiet. */
	snprintf(told, sizeof told, "%s#/Other/*", host);
	free(WEIR_EXPECT(scene, 1, "alert", "silence", told, "1h"));
	free(WEIR_EXPECT(scene, 1, "set", told, "rate=1/s", "--create"));
	quotad_stop(server);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(health_status_and_check_tell_of_it),         SCENE(limits_of_check_are_compared_with_each_host),
		SCENE(a_narrowed_rules_alert_is_its_hosts_too),    SCENE(a_refused_configuration_is_a_warning),
		SCENE(without_a_command_there_is_nothing_to_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
