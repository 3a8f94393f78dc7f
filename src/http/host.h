/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SRC_HTTP_HOST_H
#define WEIR_SRC_HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/http.h"

/* weir_host_port for a host that is not terminated: a name, an IPv4 address, or an IPv6 address with or without brackets. */
bool weir_host_port_part(const char *host, size_t length, uint16_t port, char out[WEIR_HOST_PORT_MAX]);

#endif
