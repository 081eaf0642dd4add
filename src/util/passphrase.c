#include "util/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"
#include "util/text/utf8.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { N_SIGNALS = sizeof signals / sizeof signals[0] };

static volatile sig_atomic_t signal_came;

static void on_signal(int number)
{
	signal_came = number;
}

/* Reads up to the newline, which is taken; what does not fit is read and dropped. */
static int line_read(int fd, char *ret, size_t max)
{
	size_t length = 0;
	char c;

	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		if (c == '\n')
			break;
		if (length < max)
			ret[length] = c;
		length++;
	}
	if (length > max)
		return -EMSGSIZE;
	ret[length] = '\0';
	return 0;
}

static int line_read_unseen(int fd, const char *prompt, char *ret, size_t max)
{
	struct termios before, unseen;
	int r;

	if (tcgetattr(fd, &before) < 0)
		return -ENXIO;
	unseen = before;
	unseen.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	unseen.c_lflag |= ICANON | ISIG;
	/* What was typed ahead has been seen. */
	if (tcsetattr(fd, TCSAFLUSH, &unseen) < 0)
		return -errno;
	r = file_write(fd, prompt, strlen(prompt));
	if (r == 0)
		r = line_read(fd, ret, max);
	tcsetattr(fd, TCSAFLUSH, &before);
	file_write(fd, "\n", 1);
	return r;
}

/* The wiping of memory that is not used again must not be left out. */
static void wipe(char *text, size_t size)
{
	volatile char *byte = text;

	while (size-- > 0)
		*byte++ = '\0';
}

int passphrase_ask(const char *prompt, char ret[static PASSPHRASE_MAX + 1])
{
	CLEANUP(cleanup_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct sigaction before[N_SIGNALS], action = {.sa_handler = on_signal};
	int r;

	if (fd < 0)
		return -ENXIO;
	signal_came = 0;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &action, &before[i]);
	r = line_read_unseen(fd, prompt, ret, PASSPHRASE_MAX);
	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	if (r < 0)
		wipe(ret, PASSPHRASE_MAX + 1);
	if (signal_came)
		raise(signal_came);
	return r;
}

const char *passphrase_fault(const char *passphrase)
{
	size_t left = strlen(passphrase);

	if (left == 0)
		return "the passphrase is empty";
	while (left > 0) {
		uint32_t code;
		size_t length = utf8_decode(passphrase, left, &code);

		if (length == 0)
			return "the passphrase is not UTF-8, which a browser makes of what is typed";
		if (utf8_is_control(code))
			return "the passphrase has a control character, which cannot be typed elsewhere";
		passphrase += length;
		left -= length;
	}
	return NULL;
}
