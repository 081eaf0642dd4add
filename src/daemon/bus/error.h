/* The names of the errors that org.knocktail.Manager1 answers with. */
#pragma once

#define BUS_ERROR_NO_SUCH_DOOR "org.knocktail.Error.NoSuchDoor"
#define BUS_ERROR_REFUSED      "org.knocktail.Error.Refused" /* not opened, and why */
#define BUS_ERROR_FAILED       "org.knocktail.Error.Failed"
