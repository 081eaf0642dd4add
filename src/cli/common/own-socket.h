/* The daemon's own socket, for those who ask it without a bus. */
#pragma once

#include <systemd/sd-bus.h>

/* Begins a connection, which is ready or fails later (sd_bus_is_ready()). 0 or a negative errno:
 * -ENOENT, -ECONNREFUSED: no daemon listens; -EACCES: only root and the group knocktail-admin may.
 */
int own_socket_open(sd_bus **ret);
