/* Loads rules and takes them back unless somebody confirms.
 *
 * MUST: whatever happens to this process and its terminal, from the first change on there is
 * somebody who takes the rules back. That is the keeper: a child in a session of its own that no
 * terminal can end. It makes the changes itself, and when the pipe to its parent closes without a
 * word, it undoes them. If the keeper is killed, its parent does. What was there is noted before
 * there are two of them, so that each can put it back.
 *
 * MUST: one at a time, for what the second one noted would be the first one's rules. */
#include "cli/rules/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "cli/common/process.h"
#include "cli/doctor/doctor.h"
#include "cli/rules/boot.h"
#include "cli/rules/openings.h"
#include "cli/rules/transaction.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/duration.h"

#define LOCK_PATH RUNSTATEDIR "/knocktail-rules.lock"

enum { KEEPER_LOADED = 'L', KEEPER_KEPT = 'K', KEEPER_UNDONE = 'U', KEEPER_FAILED = 'F' };
enum { MESSAGE_MAX = PROGRAM_PROBLEM_MAX + 128 };

/* How often taking back is tried, once a second: another program may have the tables locked. */
enum { TRIES_MAX = 120 };

/* How often the journal is looked at: nobody wakes us in time. */
enum { LOOK_MS = 50 };

/* What the terminal has said; deaf: it says no more. */
enum answered { ANSWERED_WAIT, ANSWERED_YES, ANSWERED_NO, ANSWERED_DEAF };

DEFINE_CLEANUP(sd_journal *, sd_journal_close)

/* The keeper */

__attribute__((format(printf, 3, 4))) static void keeper_say(int fd, char what, const char *format,
							     ...)
{
	char message[MESSAGE_MAX];
	va_list arguments;

	message[0] = what;
	va_start(arguments, format);
	vsnprintf(message + 1, sizeof message - 1, format, arguments);
	va_end(arguments);
	/* Whoever is gone needs no answer. */
	(void)!send(fd, message, strlen(message), MSG_NOSIGNAL);
}

static void ignore_signals(void)
{
	static const int signals[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGTERM,
				      SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};

	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		signal(signals[i], SIG_IGN);
}

static void keeper_detach(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	ignore_signals();
	for (int i = 0; i < 3 && fd >= 0; i++)
		dup2(fd, i);
	if (chdir("/") < 0)
		return; /* no harm done */
}

/* Whether the parent has said so before it went away and before the time was up. */
static bool is_confirmed(int fd, uint64_t deadline_us)
{
	for (;;) {
		uint64_t now = clock_us(CLOCK_BOOTTIME);
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		char word;
		int n;

		if (now >= deadline_us)
			return false;
		n = poll(&poll_fd, 1, (int)((deadline_us - now) / 1000 + 1));
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			return recv(fd, &word, 1, 0) == 1 && word == KEEPER_KEPT;
	}
}

static int restore_retrying(struct transaction *transaction)
{
	int r = transaction_restore(transaction);

	for (unsigned tries = 1; r < 0 && tries < TRIES_MAX; tries++) {
		poll(NULL, 0, 1000);
		r = transaction_restore(transaction);
	}
	return r;
}

static void take_back(struct transaction *transaction, int fd, const char *why)
{
	if (restore_retrying(transaction) < 0) {
		keeper_say(fd, KEEPER_FAILED, "%s, and the rules could not be taken back: %s", why,
			   transaction_problem(transaction));
		sd_journal_print(LOG_CRIT, "firewall rules could not be taken back: %s",
				 transaction_problem(transaction));
		return;
	}
	keeper_say(fd, KEEPER_UNDONE, "%s", why);
	sd_journal_print(LOG_WARNING, "firewall rules taken back: %s", why);
}

static void keeper_keep(const struct application *application, struct transaction *transaction,
			int fd)
{
	char why[MESSAGE_MAX], problem[PROGRAM_PROBLEM_MAX] = "";
	int r = transaction_load(transaction);

	if (r < 0) {
		snprintf(why, sizeof why, "they cannot be loaded: %s",
			 transaction_problem(transaction)[0] ? transaction_problem(transaction)
							     : strerror(-r));
		take_back(transaction, fd, why);
		return;
	}
	keeper_say(fd, KEEPER_LOADED, " ");
	if (!is_confirmed(fd, clock_us(CLOCK_BOOTTIME) + application->confirm_us)) {
		take_back(transaction, fd, "not confirmed in time");
		return;
	}
	r = application->install ? boot_install(application->plan, application->variant, problem)
				 : 0;
	if (r < 0)
		keeper_say(fd, KEEPER_FAILED, "the rules stay, but only until the next boot: %s",
			   problem[0] ? problem : strerror(-r));
	else
		keeper_say(fd, KEEPER_KEPT, " ");
}

/* Whoever is asked */

/* What the keeper says; 0: it is gone. */
static char keeper_hear(int fd, char text[static MESSAGE_MAX])
{
	ssize_t n = recv(fd, text, MESSAGE_MAX - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return text[0];
}

static void apply_prompt(const struct application *application)
{
	const char *boots = application->install ? ", now and at each boot" : "";
	char text[DURATION_TEXT_MAX], pid[PROCESS_PID_SIZE];

	duration_format(application->confirm_us, text);
	if (!process_find("knocktaild", pid))
		puts("knocktaild does not run: no knock opens a door now. In a second terminal: "
		     "systemctl start knocktaild");
	if (application->by_knock)
		printf("The rules are loaded. Knock, within %s: they stay%s,\n"
		       "when that opens a door. yes keeps them, too, anything else takes them "
		       "back.\n",
		       text, boots);
	else
		printf("The rules are loaded. From a second terminal, see whether you still get "
		       "in.\n"
		       "Type yes within %s to keep them%s, or knock to keep them when\n"
		       "a knock opens a door; anything else takes them back: ",
		       text, boots);
	fflush(stdout);
}

/* Whether the journal is followed from now on. */
static bool apply_follow(sd_journal **journal)
{
	int r = openings_follow(journal);

	if (r < 0)
		printf("The journal cannot be followed: %s.\n", strerror(-r));
	return r == 0;
}

/* What was typed: whether the rules stay, go, or wait for a knock, from when on the journal is
 * followed. */
static enum answered apply_read(sd_journal **journal)
{
	char line[16] = "";
	ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);

	if (n > 0 && (strcmp(line, "yes\n") == 0 || strcmp(line, "yes") == 0))
		return ANSWERED_YES;
	/* Whoever has sent the word from a file can say no more. */
	if (n == 0 && *journal)
		return ANSWERED_DEAF;
	if (n <= 0 || *journal || strcmp(line, "knock\n") != 0)
		return ANSWERED_NO;
	if (!apply_follow(journal))
		return ANSWERED_NO;
	puts("Knock now; yes keeps them, anything else takes them back.");
	fflush(stdout);
	return ANSWERED_WAIT;
}

/* Whether a knock has opened a door by now; says which. */
static bool has_opened(sd_journal *journal)
{
	char *message CLEANUP(cleanup_free) = NULL;

	if (openings_next(journal, &message) < 0 || !message)
		return false;
	printf("%s\n", message);
	return true;
}

/* Waits for the terminal, for a knock, or for the keeper's word. */
static void apply_ask(const struct application *application, int fd)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
				{.fd = fd, .events = POLLIN}};
	CLEANUP(cleanup_sd_journal_close) sd_journal *journal = NULL;
	enum answered answer = ANSWERED_WAIT;

	if (application->by_knock && !apply_follow(&journal))
		answer = ANSWERED_NO;
	else
		apply_prompt(application);
	while (answer == ANSWERED_WAIT) {
		int n = poll(fds, 2, journal ? LOOK_MS : -1);

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && fds[1].revents)
			return;
		if (n > 0 && fds[0].revents)
			answer = apply_read(&journal);
		if (answer == ANSWERED_DEAF) {
			fds[0].fd = -1;
			answer = ANSWERED_WAIT;
		}
		if (answer == ANSWERED_WAIT && journal && has_opened(journal))
			answer = ANSWERED_YES;
	}
	if (answer == ANSWERED_YES)
		keeper_say(fd, KEEPER_KEPT, "%s", "");
	else
		shutdown(fd, SHUT_WR);
}

/* The keeper has been killed: there is nobody else left. */
static void step_in(struct transaction *transaction)
{
	ignore_signals();
	fputs("\nknocktail rules: the process guarding the rules died; reverting them\n", stderr);
	if (restore_retrying(transaction) < 0)
		fprintf(stderr, "knocktail rules: the rules could not be taken back: %s\n",
			transaction_problem(transaction));
	else
		puts("The rules have been taken back.");
}

static void say_stays(const struct application *application)
{
	if (application->install)
		puts("The rules stay, and are loaded at each boot before the network comes up.");
	else
		printf("The rules stay until the next boot. To have them loaded at each: "
		       "knocktail rules %s --install\n",
		       variant_names[application->variant]);
}

static enum status apply_talk(const struct application *application,
			      struct transaction *transaction, int fd)
{
	char text[MESSAGE_MAX];
	char what = keeper_hear(fd, text);

	if (what == KEEPER_LOADED) {
		if (doctor_examine_rules(application->plan->config) > 0)
			puts("These problems remain with the new rules loaded.");
		if (application->agreed)
			keeper_say(fd, KEEPER_KEPT, "%s", "");
		else
			apply_ask(application, fd);
		what = keeper_hear(fd, text);
	}
	switch (what) {
	case KEEPER_KEPT:
		say_stays(application);
		return STATUS_OK;
	case KEEPER_UNDONE:
		printf("\nThe rules have been taken back: %s.\n", text + 1);
		return STATUS_FAILED;
	case KEEPER_FAILED:
		fflush(stdout);
		fprintf(stderr, "knocktail rules: %s\n", text + 1);
		return STATUS_FAILED;
	default:
		step_in(transaction);
		return STATUS_FAILED;
	}
}

static enum status load_and_ask(const struct application *application,
				struct transaction *transaction)
{
	enum status status;
	int fds[2];
	pid_t pid;

	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		fprintf(stderr, "knocktail rules: %s\n", strerror(errno));
		return STATUS_FAILED;
	}
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		/* What the keeper runs holds it, too: what it leaves behind still changes rules. */
		fcntl(fds[1], F_SETFD, 0);
		keeper_detach();
		keeper_keep(application, transaction, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	if (pid < 0) {
		fprintf(stderr, "knocktail rules: %s\n", strerror(errno));
		close(fds[0]);
		return STATUS_FAILED;
	}
	status = apply_talk(application, transaction, fds[0]);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return status;
}

/* The keeper has it too, and nobody else until both are gone. */
static int apply_lock(void)
{
	int fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	fprintf(stderr, "knocktail rules: %s: %s\n", LOCK_PATH,
		errno == EWOULDBLOCK ? "another set of rules is waiting for confirmation"
				     : strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

enum status apply(const struct application *application)
{
	CLEANUP(cleanup_close) int lock_fd = apply_lock();
	char problem[PROGRAM_PROBLEM_MAX] = "";
	enum status status;
	struct transaction *transaction;
	int r;

	if (lock_fd < 0)
		return STATUS_FAILED;
	r = application->install ? boot_check(application->variant, problem) : 0;
	if (r == 0)
		r = transaction_new(application->plan, application->variant, &transaction, problem);
	if (r < 0) {
		fprintf(stderr, "knocktail rules: nothing was changed: %s\n",
			problem[0] ? problem : strerror(-r));
		return STATUS_FAILED;
	}
	status = load_and_ask(application, transaction);
	transaction_free(transaction);
	return status;
}
