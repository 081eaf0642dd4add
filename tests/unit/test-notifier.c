/* What the service manager hears, wherever its socket is, and whether it listens or not. */
#include "daemon/notifier.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "support.h"

/* The manager's socket, at a path or behind "@" an abstract name. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, name);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	return fd;
}

/* The next thing that the manager hears; "": nothing. */
static const char *heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static struct notifier *notifier_at(sd_event *event, const char *name)
{
	struct notifier *notifier = NULL;

	assert_int_equal(name ? setenv("NOTIFY_SOCKET", name, 1) : unsetenv("NOTIFY_SOCKET"), 0);
	assert_int_equal(notifier_new(event, &notifier), 0);
	return notifier;
}

static void check_at(sd_event *event, const char *name)
{
	struct notifier *notifier;
	int fd = listen_at(name);

	notifier = notifier_at(event, name);
	notifier_say(notifier, "STATUS=%d doors", 3);
	assert_string_equal(heard(fd), "STATUS=3 doors");
	assert_string_equal(heard(fd), "");
	close(fd);
	/* The manager is gone: nobody waits for it. */
	notifier_say(notifier, "READY=1");
	notifier_free(notifier);
}

static void test_where_the_manager_is(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "notify"), name[64];
	sd_event *event = NULL;

	(void)state;
	assert_true(sd_event_new(&event) >= 0);
	check_at(event, path);
	snprintf(name, sizeof name, "@knocktail-test-%ld", (long)getpid());
	check_at(event, name);
	free(path);
	support_remove(directory);
	sd_event_unref(event);
}

static void test_no_manager(void **state)
{
	static char longest[200];
	static const char *const names[] = {NULL, "", "/", "@", "notify", "vsock:2:1", longest};
	sd_event *event = NULL;

	(void)state;
	memset(longest, '/', sizeof longest - 1);
	assert_true(sd_event_new(&event) >= 0);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct notifier *notifier = notifier_at(event, names[i]);

		notifier_say(notifier, "READY=1");
		/* Nothing is left for later. */
		assert_int_equal(sd_event_run(event, 0), 0);
		notifier_free(notifier);
	}
	assert_null(notifier_free(NULL));
	sd_event_unref(event);
}

/* What there was no room for is said later, but only the last of it, and signs of life as well. */
static void test_a_manager_that_does_not_listen(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "notify"), limit[32];
	int fd = listen_at(path), filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct notifier *notifier;
	sd_event *event = NULL;
	bool is_alive = false, is_said = false;
	unsigned n = 0;

	(void)state;
	strcpy(address.sun_path, path);
	while (sendto(filler, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) ==
	       1)
		n++;
	assert_int_equal(errno, EAGAIN);
	snprintf(limit, sizeof limit, "%ld", (long)getpid());
	setenv("WATCHDOG_PID", limit, 1);
	setenv("WATCHDOG_USEC", "20000000", 1);
	assert_true(sd_event_new(&event) >= 0);
	notifier = notifier_at(event, path);
	notifier_say(notifier, "STATUS=first");
	notifier_say(notifier, "STATUS=second");
	for (unsigned i = 0; i < 2; i++)
		assert_true(sd_event_run(event, UINT64_MAX) > 0);
	for (; n > 0; n--)
		assert_string_equal(heard(fd), "x");
	assert_string_equal(heard(fd), "");
	for (unsigned i = 0; i < 20 && !is_alive; i++) {
		assert_true(sd_event_run(event, UINT64_MAX) > 0);
		for (const char *text = heard(fd); *text && !is_alive; text = heard(fd)) {
			is_alive = strcmp(text, "WATCHDOG=1") == 0;
			if (is_alive)
				continue;
			assert_string_equal(text, "STATUS=second");
			is_said = true;
		}
	}
	assert_true(is_alive && is_said);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	notifier_free(notifier);
	sd_event_unref(event);
	close(filler);
	close(fd);
	free(path);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_the_manager_is),
		cmocka_unit_test(test_no_manager),
		cmocka_unit_test(test_a_manager_that_does_not_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
