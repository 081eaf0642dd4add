#include "cli/common/boot-paths.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

bool boot_ufw_is_on(void)
{
	static const char wanted[] = "ENABLED=yes";
	CLEANUP(cleanup_fclose) FILE *file = fopen(UFW_DIRECTORY "/ufw.conf", "re");
	char line[256];

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line + strspn(line, " \t"), wanted, sizeof wanted - 1) == 0)
			return true;
	return false;
}
