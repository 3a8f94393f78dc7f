/* SPDX-License-Identifier: MIT */
/* Who competes, in the order of the report. */
#include "controller.h"

const struct sim_controller *const sim_controllers[] = {
	&sim_weir,      &sim_oracle, &sim_none,         &sim_aws_shared, &sim_aws_each, &sim_vegas,
	&sim_gradient2, &sim_envoy,  &sim_resilience4j, &sim_gobreaker,  &sim_outlier,  &sim_finagle,
};
const unsigned sim_controller_count = sizeof(sim_controllers) / sizeof(sim_controllers[0]);
