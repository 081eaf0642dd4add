#include "input/sigbus.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile sig_atomic_t sigbus;
static uintptr_t page_mask;

/* Puts a page of zeros where the file has none any more. Only calls that a handler may make. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	void *page = (void *)((uintptr_t)info->si_addr & page_mask); /* NOLINT */

	(void)context;
	if (info->si_code == BUS_ADRERR &&
	    mmap(page, ~page_mask + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    MAP_FAILED) {
		sigbus = 1;
		return;
	}
	/* Something else: it comes again when this returns, and ends the program. */
	signal(number, SIG_DFL);
}

void sigbus_watch(void)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

bool sigbus_happened(void)
{
	bool happened = sigbus;

	sigbus = 0;
	return happened;
}
