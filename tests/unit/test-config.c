/* Every tests/config/NAME.conf says in its own comments what becomes of it:
 *
 *	;> LINE: error: TEXT		a complaint; all of them stand there, in their order
 *	;> LINE: warning: TEXT
 *	;> = NAME.KEY=VALUE		a value of the loaded configuration, as dump() writes it
 *
 * A file without errors loads. The machine it is for listens as tests/config/proc-net says. */
#include "config/config.h"
#include "config/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/key.h"
#include "core/other-log.h"
#include "util/cleanup.h"
#include "util/duration.h"

#define DATA_DIR TEST_DATA_DIR "/config"

enum { CASES_MIN = 100 };

static const char good[] = "[options]\nlog_prefix = knock\n[door ssh]\nsequence = 9, 7, 8\n"
			   "backend = ipset\nset = ssh\n[door web]\nsequence = 9, 7, 8\n"
			   "backend = ipset\nset = web\n";

static char *read_case(const char *name, size_t *ret_size)
{
	char path[512], *data;
	FILE *file CLEANUP(cleanup_fclose) = NULL;
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", DATA_DIR, name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	*ret_size = (size_t)status.st_size;
	data = calloc(1, *ret_size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *ret_size, file), *ret_size);
	return data;
}

static void dump_command(FILE *out, const char *door, const char *key, char *const *argv)
{
	if (!argv)
		return;
	fprintf(out, "%s.%s=", door, key);
	for (; *argv; argv++)
		fprintf(out, "[%s]", *argv);
	fputs("\n", out);
}

static void dump_sequence(FILE *out, const struct door *door)
{
	const struct sequence *sequence = &door->knock.sequence;

	fprintf(out, "%s.sequence=", door->name);
	for (size_t i = 0; i < sequence->n_steps; i++)
		fprintf(out, "%s%u/%s", i > 0 ? " " : "", sequence->steps[i].port,
			sequence->steps[i].protocol == IPPROTO_UDP ? "udp" : "tcp");
	fputs("\n", out);
}

static void dump_ports(FILE *out, const struct door *door)
{
	const struct port_set *ports = &door->opening.ports;
	char text[PORT_RANGE_TEXT_MAX];

	fprintf(out, "%s.ports=%s", door->name, ports->is_all ? "all" : "");
	for (size_t i = 0; i < ports->n_ranges; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", port_range_format(&ports->ranges[i], text));
	fputs("\n", out);
}

static void dump_filter(FILE *out, const struct door *door)
{
	const struct filter *filter = &door->knock.filter;
	char text[ADDRESS_TEXT_MAX];

	fprintf(out, "%s.tcpflags=%02x/%02x\n", door->name, filter->flags_set, filter->flags_clear);
	fprintf(out, "%s.interface=%s\n", door->name, filter->interface);
	fprintf(out, "%s.target=%s\n", door->name,
		filter->has_target ? address_format(&filter->target, text) : "");
	fprintf(out, "%s.allow=", door->name);
	for (size_t i = 0; i < door->n_allow; i++)
		fprintf(out, "%s%s/%u", i > 0 ? " " : "",
			address_format(&door->allow[i].base, text), door->allow[i].prefix);
	fputs("\n", out);
}

static void dump_auth(FILE *out, const struct door *door)
{
	char text[DURATION_TEXT_MAX];

	fprintf(out, "%s.auth=%s%s%s\n", door->name, door->auth & AUTH_SEQUENCE ? "sequence " : "",
		door->auth & AUTH_TOKEN ? "token " : "", door->auth & AUTH_SPA ? "spa " : "");
	dump_command(out, door->name, "users", door->users);
	fprintf(out, "%s.bind_source=%s\n", door->name,
		door->bind_source == BIND_YES  ? "yes"
		: door->bind_source == BIND_NO ? "no"
					       : "optional");
	fprintf(out, "%s.longest=%s\n", door->name,
		duration_format(door_timeout_us(door, UINT16_MAX), text));
}

static void dump_forward(FILE *out, const struct door *door)
{
	const struct opening *opening = &door->opening;
	char text[FORWARD_TEXT_MAX];

	fprintf(out, "%s.forward=", door->name);
	for (enum family family = 0; family < N_FAMILIES; family++)
		fprintf(out, "%s%s", family == FAMILY_IPV6 ? " " : "",
			opening->forward[family].is_there
				? forward_format(&opening->forward[family], text)
				: "-");
	fprintf(out, "%s%s\n", opening->masquerade ? " masquerade" : "",
		opening->docker ? " docker" : "");
}

static void dump_door(FILE *out, const struct door *door)
{
	char text[DURATION_TEXT_MAX];

	dump_auth(out, door);
	dump_sequence(out, door);
	fprintf(out, "%s.one_time_sequences=%s\n", door->name,
		door->one_time_sequences ? door->one_time_sequences : "");
	fprintf(out, "%s.log=%s\n", door->name, door->log ? door->log : "");
	dump_ports(out, door);
	fprintf(out, "%s.grant_prefix=%u/%u\n", door->name, door->opening.prefix[FAMILY_IPV4],
		door->opening.prefix[FAMILY_IPV6]);
	dump_forward(out, door);
	fprintf(out, "%s.chain=%s\n", door->name, door->opening.chain ? door->opening.chain : "");
	dump_filter(out, door);
	fprintf(out, "%s.seq_timeout=%s\n", door->name,
		duration_format(door->knock.seq_timeout_us, text));
	fprintf(out, "%s.timeout=%s\n", door->name, duration_format(door->timeout_us, text));
	fprintf(out, "%s.max_open=%u\n", door->name, door->max_open);
	fprintf(out, "%s.fleet=%s\n", door->name, door->in_fleet ? "yes" : "no");
	fprintf(out, "%s.backend=%s\n", door->name, backend_names[door->opening.backend]);
	for (enum family family = 0; family < N_FAMILIES; family++)
		fprintf(out, "%s.set%s=%s\n", door->name, family == FAMILY_IPV6 ? "_6" : "",
			door->opening.set[family] ? door->opening.set[family] : "");
	fprintf(out, "%s.entry=%s\n", door->name, door->opening.entry ? door->opening.entry : "");
	dump_command(out, door->name, "start_command", door->opening.start_command[FAMILY_IPV4]);
	dump_command(out, door->name, "start_command_6", door->opening.start_command[FAMILY_IPV6]);
	dump_command(out, door->name, "stop_command", door->opening.stop_command[FAMILY_IPV4]);
	dump_command(out, door->name, "stop_command_6", door->opening.stop_command[FAMILY_IPV6]);
}

static void dump_log(FILE *out, const struct other_log *log)
{
	dump_command(out, log->name, "match", log->matches);
	fprintf(out, "%s.format=%s\n", log->name,
		log->form == LOG_FORM_KERNEL ? "kernel" : "pattern");
	fprintf(out, "%s.pattern=%s\n", log->name, log->pattern ? log->pattern : "");
}

static char *dump(const struct config *config)
{
	char *text = NULL, age[DURATION_TEXT_MAX];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs("\n", out);
	if (config) {
		fprintf(out, "options.log_prefix=[%s]\n", config->log_prefix);
		fprintf(out, "options.max_sources=%u\n", config->max_sources);
		fprintf(out, "options.max_open=%u\n", config->max_open);
		fprintf(out, "options.max_open_user=%u\n", config->max_open_user);
		fprintf(out, "options.max_age=%s\n", duration_format(config->max_age_us, age));
		fprintf(out, "options.ipv6_prefix=%u\n", config->ipv6_prefix);
		fprintf(out, "options.on_stop=%s\n",
			config->on_stop == ON_STOP_KEEP ? "keep" : "close");
		if (config->trust_all_netns)
			fprintf(out, "options.trust_all_netns=yes\n");
		fprintf(out, "options.clock_skew=%s\n",
			duration_format(config->clock_skew_us, age));
		fprintf(out, "options.keys=%s\n", config->keys);
		fprintf(out, "options.realm=%s\n", config->realm ? config->realm : "");
		dump_command(out, "options", "notify_command", config->notify_command);
		fprintf(out, "options.expected_ports=%s\n", config->expected_ports);
		fprintf(out, "options.doors=%zu\n", config->n_doors);
		for (size_t i = 0; i < config->n_doors; i++)
			dump_door(out, &config->doors[i]);
		fprintf(out, "options.logs=%zu\n", config->n_logs);
		for (size_t i = 0; i < config->n_logs; i++)
			dump_log(out, &config->logs[i]);
	}
	fclose(out);
	return text;
}

static char *list_complaints(const struct complaints *complaints)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (size_t i = 0; i < complaints->n_items; i++)
		fprintf(out, "%u: %s: %s\n", complaints->items[i].line,
			complaints->items[i].warning ? "warning" : "error",
			complaints->items[i].text);
	fclose(out);
	return text;
}

/* Looks one wanted line up: among the values, or else, next in turn, among the complaints. */
static void check_line(const char *line, size_t length, const char *values, const char **complaints)
{
	char *text CLEANUP(cleanup_free) = NULL;
	bool is_value = length > 2 && line[0] == '=';

	if (is_value)
		assert_true(asprintf(&text, "\n%.*s\n", (int)length - 2, line + 2) > 0);
	else
		assert_true(asprintf(&text, "%.*s\n", (int)length, line) > 0);
	if (is_value && !strstr(values, text))
		fail_msg("wanted:%sin:%s", text, values);
	if (is_value)
		return;
	if (strncmp(*complaints, text, strlen(text)) != 0)
		fail_msg("wanted: %sin: %s", text, *complaints);
	*complaints += strlen(text);
}

static void check_wanted(const char *data, size_t size, const char *values, const char *complaints)
{
	const char *end = data + size, *at = data;

	while ((at = memmem(at, (size_t)(end - at), ";> ", 3))) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		assert_non_null(newline);
		check_line(at + 3, (size_t)(newline - at) - 3, values, &complaints);
		at = newline;
	}
	assert_string_equal(complaints, "");
}

static void test_case(void **state)
{
	size_t size;
	char *data CLEANUP(cleanup_free) = read_case(*state, &size);
	char *values CLEANUP(cleanup_free) = NULL, *texts CLEANUP(cleanup_free) = NULL;
	struct config *config = NULL;
	struct complaints complaints;
	int r = config_load_bytes(data, size, DATA_DIR "/proc-net", &config, &complaints);

	values = dump(config);
	texts = list_complaints(&complaints);
	if (complaints.n_errors > 0)
		assert_int_equal(r, -EBADMSG);
	else
		assert_int_equal(r, 0);
	assert_true((config != NULL) == (r == 0));
	check_wanted(data, size, values, texts);
	complaints_done(&complaints);
	config_free(config);
}

/* Writes the text to a file of this mode, loads it as the programs do and removes it. */
static int load_file(const char *text, mode_t mode, struct complaints *complaints)
{
	char path[] = "/tmp/test-config.XXXXXX";
	int fd CLEANUP(cleanup_close) = mkstemp(path), r;
	struct config *config = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	r = config_load(path, &config, complaints);
	assert_int_equal(unlink(path), 0);
	assert_true((config != NULL) == (r == 0));
	config_free(config);
	return r;
}

static void test_file_mode(void **state)
{
	static const mode_t refused[] = {0620, 0602, 0666, 0664};
	struct complaints complaints;

	(void)state;
	assert_int_equal(load_file(good, 0640, &complaints), 0);
	assert_int_equal(complaints.n_items, 0);
	complaints_done(&complaints);
	assert_int_equal(load_file(good, 0644, &complaints), 0);
	assert_int_equal(complaints.n_items, 1);
	assert_true(complaints.items[0].warning);
	assert_non_null(strstr(complaints.items[0].text, "chmod o-r /tmp/test-config."));
	complaints_done(&complaints);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(load_file(good, refused[i], &complaints), -EBADMSG);
		assert_int_equal(complaints.n_items, 1);
		assert_non_null(strstr(complaints.items[0].text, "chmod go-w /tmp/test-config."));
		complaints_done(&complaints);
	}
}

static void test_file_size(void **state)
{
	const size_t max = 1 << 20;
	char *text CLEANUP(cleanup_free) = malloc(max + 2);
	struct complaints complaints;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', max + 1);
	memcpy(text, good, strlen(good));
	text[max] = '\0';
	assert_int_equal(load_file(text, 0600, &complaints), 0);
	complaints_done(&complaints);
	text[max] = '\n';
	text[max + 1] = '\0';
	assert_int_equal(load_file(text, 0600, &complaints), -EBADMSG);
	assert_string_equal(complaints.items[0].text, "the file is larger than 1048576 bytes");
	complaints_done(&complaints);
}

/* None of these may hang, and no writer of the FIFO is needed. */
static void test_file_kind(void **state)
{
	char path[] = "/tmp/test-config.XXXXXX", fifo[64];
	const char *const kinds[][2] = {{path, "the file is a directory, not a regular file"},
					{fifo, "the file is a FIFO, not a regular file"},
					{"/dev/null", "the file is a device, not a regular file"}};
	struct config *config = NULL;
	struct complaints complaints;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		assert_int_equal(config_load(kinds[i][0], &config, &complaints), -EBADMSG);
		assert_string_equal(complaints.items[0].text, kinds[i][1]);
		complaints_done(&complaints);
	}
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(config_load(fifo, &config, &complaints), -ENOENT);
	assert_int_equal(complaints.n_items, 0);
	complaints_done(&complaints);
	assert_null(config);
}

/* Neither /proc nor a place for other files is needed. */
static void test_bare_root(void **state)
{
	enum { NOT_PERMITTED = 77 };
	char directory[] = "/tmp/test-config.XXXXXX", path[64];
	FILE *file;
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/conf", directory);
	file = fopen(path, "wex");
	assert_non_null(file);
	assert_true(fputs(good, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(chmod(directory, 0500), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct config *config = NULL;
		struct complaints complaints;

		if (chroot(directory) < 0 || chdir("/") < 0)
			_exit(NOT_PERMITTED);
		_exit(config_load("/conf", &config, &complaints) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_PERMITTED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static struct config *load_text(const char *text, size_t size)
{
	struct config *config = NULL;
	struct complaints complaints;

	config_load_bytes(text, size, NULL, &config, &complaints);
	complaints_done(&complaints);
	return config;
}

static void test_cut_off(void **state)
{
	struct config *config;

	(void)state;
	assert_null(load_text("", 0));
	config = load_text(good, strlen(good) - 1);
	assert_non_null(config);
	assert_string_equal(config->doors[1].opening.set[FAMILY_IPV4], "web");
	config_free(config);
}

static void test_find_door(void **state)
{
	struct config *config = load_text(good, strlen(good));

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->n_doors, 2);
	assert_ptr_equal(config_find_door(config, "web"), &config->doors[1]);
	assert_null(config_find_door(config, "we"));
	assert_null(config_find_door(config, ""));
	config_free(config);
}

/* Garbage must neither be accepted for its size nor be answered without end. */
static void test_many_complaints(void **state)
{
	enum { LINES = 5000 };
	char text[2 * LINES];
	struct config *config = NULL;
	struct complaints complaints;

	(void)state;
	for (size_t i = 0; i < LINES; i++)
		memcpy(text + 2 * i, "x\n", 2);
	assert_int_equal(config_load_bytes(text, sizeof(text), NULL, &config, &complaints),
			 -EBADMSG);
	assert_int_equal(complaints.n_errors, LINES);
	assert_in_range(complaints.n_items, 100, LINES / 2);
	complaints_done(&complaints);
}

static int is_case(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".conf") == 0;
}

/* Whoever reads only warnings would not learn why nothing of the file counts. */
static void test_the_first_error_is_kept(void **state)
{
	struct complaints complaints = {0};
	char text[COMPLAINT_LINE_MAX];

	(void)state;
	for (unsigned i = 0; i < COMPLAINTS_MAX + 10; i++)
		complain_warning(&complaints, 1, "doubtful");
	assert_int_equal(complaints.n_items, COMPLAINTS_MAX);
	complain_about(&complaints, "/a: error: b", 7, false, "wrong");
	complain_error(&complaints, 8, "wrong as well");
	assert_int_equal(complaints.n_items, COMPLAINTS_MAX + 1);
	assert_int_equal(complaints.n_warnings, COMPLAINTS_MAX + 10);
	assert_int_equal(complaints.n_errors, 2);
	assert_int_equal(complaints.error, 0);
	assert_string_equal(complaint_format(&complaints.items[COMPLAINTS_MAX], "/c", text),
			    "/a: error: b:7: error: wrong");
	assert_string_equal(complaint_format(&complaints.items[0], "/c", text),
			    "/c:1: warning: doubtful");
	complaints_done(&complaints);
}

/* Each has an id of its own. FNV-1a makes 0 of the first name. */
static void test_no_other_log_is_the_kernels(void **state)
{
	char *none[] = {NULL};
	struct other_log log = {.name = "\xd5\x6b\xb9\x53\x42\x87\x08\x36", .matches = none},
			 other = {.name = "other", .matches = none};

	(void)state;
	other_log_seal(&log);
	other_log_seal(&other);
	assert_int_not_equal(log.id, OTHER_LOG_KERNEL);
	assert_int_not_equal(other.id, OTHER_LOG_KERNEL);
	assert_int_not_equal(other.id, log.id);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_mode),
		cmocka_unit_test(test_file_size),
		cmocka_unit_test(test_file_kind),
		cmocka_unit_test(test_bare_root),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_find_door),
		cmocka_unit_test(test_many_complaints),
		cmocka_unit_test(test_the_first_error_is_kept),
		cmocka_unit_test(test_no_other_log_is_the_kernels),
	};
	struct dirent **names = NULL;
	struct CMUnitTest *cases CLEANUP(cleanup_free) = NULL;
	int n = scandir(DATA_DIR, &names, is_case, alphasort), r;

	if (n < CASES_MIN)
		return EXIT_FAILURE;
	cases = calloc((size_t)n, sizeof(*cases));
	if (!cases)
		return EXIT_FAILURE;
	for (int i = 0; i < n; i++)
		cases[i] = (struct CMUnitTest){.name = names[i]->d_name,
					       .test_func = test_case,
					       .initial_state = names[i]->d_name};
	r = _cmocka_run_group_tests("tests/config", cases, (size_t)n, NULL, NULL);
	r += cmocka_run_group_tests_name("config", tests, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
