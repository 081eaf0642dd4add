#include "cli/common/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/verb.h"

_Noreturn void memory_out(void)
{
	fputs("knocktail: out of memory\n", stderr);
	exit(STATUS_FAILED);
}
