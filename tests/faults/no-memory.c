/* Memory that runs out, for one process: preloaded, it fails one allocation and counts them all.
 * The file that NO_MEMORY names holds two numbers that both sides may write at any time: which one
 * fails, counted from 1, and how many there were. Those count that the program itself asks for, or
 * libc for it: not every library survives that its own fail, nor do libc's users and groups
 * (getpwnam(3)). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

struct code {
	uintptr_t start, end;
};

struct shortage {
	atomic_uint failing, n_asked;
};

static struct code own, libc, program;
static struct shortage *shortage;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *pointer, size_t size);

static bool code_has(const struct code *code, uintptr_t address)
{
	return address >= code->start && address < code->end;
}

static int find_code(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr;
		struct code code = {start, start + header->p_memsz};

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		if (!program.end) /* it comes first */
			program = code;
		else if (code_has(&code, (uintptr_t)find_code))
			own = code;
		else if (code_has(&code, (uintptr_t)__libc_malloc))
			libc = code;
	}
	return 0;
}

/* What the program starts has enough memory. */
__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("NO_MEMORY"), O_RDWR | O_CLOEXEC);
	void *map = mmap(NULL, sizeof *shortage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		abort();
	close(fd);
	dl_iterate_phdr(find_code, NULL);
	unsetenv("LD_PRELOAD");
	shortage = map;
}

/* What is left is not the program's own: it may be what counts its branches. */
static void stop(void)
{
	shortage = NULL;
}

/* Who asks, and which function of libc, if it is one. */
struct caller {
	uintptr_t address, in_libc;
};

static _Unwind_Reason_Code find_caller(struct _Unwind_Context *context, void *userdata)
{
	struct caller *caller = userdata;

	caller->address = _Unwind_GetIP(context) - 1;
	if (code_has(&libc, caller->address))
		caller->in_libc = caller->address;
	else if (!code_has(&own, caller->address))
		return _URC_END_OF_STACK;
	return _URC_NO_REASON;
}

static bool counts(const struct caller *caller)
{
	Dl_info info;

	return code_has(&program, caller->address) &&
	       !(caller->in_libc && dladdr((void *)caller->in_libc, &info) && info.dli_sname &&
		 (strncmp(info.dli_sname, "getpw", 5) == 0 ||
		  strncmp(info.dli_sname, "getgr", 5) == 0));
}

static bool fails(const void *address)
{
	static atomic_flag will_stop = ATOMIC_FLAG_INIT;
	static _Thread_local bool is_looking;
	struct caller caller = {.address = (uintptr_t)address - 1};
	bool is_ours;

	if (is_looking || !shortage)
		return false;
	is_looking = true;
	if (code_has(&libc, caller.address))
		_Unwind_Backtrace(find_caller, &caller);
	is_ours = counts(&caller);
	if (!atomic_flag_test_and_set(&will_stop))
		atexit(stop);
	is_looking = false;
	if (!is_ours || atomic_fetch_add(&shortage->n_asked, 1) + 1 != shortage->failing)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *pointer, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(pointer, size);
}

void *reallocarray(void *pointer, size_t n, size_t size)
{
	size_t whole;

	if (fails(__builtin_return_address(0)) || __builtin_mul_overflow(n, size, &whole))
		return NULL;
	return __libc_realloc(pointer, whole);
}
