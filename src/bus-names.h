/* What the daemon and those who ask it call things on the system bus, and on the daemon's own
 * socket (org.knocktail.Manager1(5)).
 */
#pragma once

#define BUS_NAME      "org.knocktail"
#define BUS_PATH      "/org/knocktail"
#define BUS_INTERFACE "org.knocktail.Manager1"

/* For knocktail-fleetd alone: what other hosts have to know, and what they say. */
#define BUS_FLEET_INTERFACE "org.knocktail.Fleet1"

/* The socket: its name in the daemon's runtime directory, and where that is as systemd makes it. */
#define BUS_SOCKET	"control"
#define BUS_SOCKET_PATH "/run/knocktail/" BUS_SOCKET

/* Who, beside root, may control the daemon. */
#define BUS_ADMINS "knocktail-admin"

#define BUS_ERROR_NO_SUCH_DOOR "org.knocktail.Error.NoSuchDoor"
#define BUS_ERROR_REFUSED      "org.knocktail.Error.Refused" /* not opened, and why */
#define BUS_ERROR_FAILED       "org.knocktail.Error.Failed"

/* A row of Fleet1's Holds(): door, source, user, knock, deadline and time of the knock in
 * microseconds. */
#define BUS_HOLD_ROW "(sssstt)"

/* A row of List(): door, source, user, deadline in microseconds, state. */
#define BUS_ROW "(sssts)"
