/* knocktail keygen: a new key for a user.
 *
 * MUST: never overwrite a key. Nobody can read a new one but root and the group that the directory
 * is there for. The key is printed by --qr alone. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/config.h"
#include "cli/common/json.h"
#include "cli/common/output.h"
#include "cli/keygen/qr.h"
#include "cli/verb.h"
#include "config/config.h"
#include "core/door.h"
#include "core/secret.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { FILE_NAME_MAX = USER_NAME_MAX + sizeof ".key" };

DEFINE_CLEANUP(struct secret *, secrets_free)

/* A directory that is missing is made for the daemon's group, where there is one. */
static int directory_make(const char *path)
{
	const struct group *group = getgrnam("knocktail");

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (group && (chown(path, (uid_t)-1, group->gr_gid) < 0 || chmod(path, 0750) < 0)) {
		int r = -errno;

		rmdir(path);
		return r;
	}
	return 0;
}

/* -EACCES: others can write into it, who could put a key of theirs there. */
static int directory_open(const char *path, int *ret_fd, struct stat *ret_st)
{
	CLEANUP(cleanup_close) int fd = -1;
	int r = directory_make(path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	if (ret_st->st_mode & (S_IWGRP | S_IWOTH))
		return -EACCES;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A directory that only its group can enter says who the keys are for. */
static int file_fill(int fd, const struct stat *directory, const char *line)
{
	bool shared = (directory->st_mode & S_IXGRP) && !(directory->st_mode & S_IRWXO);
	int r;

	if (shared && (fchown(fd, (uid_t)-1, directory->st_gid) < 0 ||
		       fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP) < 0))
		return -errno;
	r = file_write(fd, line, strlen(line));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* Under another name first: a key is there as a whole or not at all. -EEXIST: there is one. */
static int file_create(int directory, const struct stat *st, const char *name, const char *line)
{
	char temporary[FILE_NAME_MAX + 16];
	CLEANUP(cleanup_close) int fd = -1;
	int r;

	snprintf(temporary, sizeof temporary, ".%s.%08x", name, randombytes_random());
	fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	r = file_fill(fd, st, line);
	if (r == 0 && linkat(directory, temporary, directory, name, 0) < 0)
		r = -errno;
	unlinkat(directory, temporary, 0);
	if (r == 0 && fsync(directory) < 0)
		r = -errno;
	return r;
}

static void print_advice(const char *user, const char *path)
{
	printf("%s: a new key for %s. Bring it to the machine that %s knocks from, where nobody\n"
	       "else may read it, for example with this, called there:\n"
	       "\n"
	       "    (umask 077; mkdir -p ~/.config/knocktail; ssh GATEWAY sudo cat %s \\\n"
	       "        >~/.config/knocktail/GATEWAY.key)\n"
	       "\n"
	       "and knock from there with\n"
	       "\n"
	       "    knocktap --key ~/.config/knocktail/GATEWAY.key --door DOOR GATEWAY\n"
	       "\n"
	       "once %s is among the users of the door, and knocktaild has been reloaded.\n",
	       path, user, user, path, user);
}

/* What is said of a new key. */
enum saying { SAY_ADVICE, SAY_ADVICE_AND_KEY, SAY_JSON };

static void keygen_print_json(const char *user, const char *path)
{
	struct json_object *document = json_object_new_object();

	json_put_text(document, "user", user);
	json_put_text(document, "file", path);
	json_print(document);
}

static enum status keygen_say(enum saying saying, const char *user, const char *path,
			      const char *line)
{
	if (saying == SAY_JSON)
		keygen_print_json(user, path);
	else
		print_advice(user, path);
	if (saying == SAY_ADVICE_AND_KEY && qr_print(line, SECRET_TEXT_SIZE) < 0) {
		fputs("knocktail keygen: no memory for a QR code\n", stderr);
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

static enum status keygen_fail(const char *path, int error)
{
	fprintf(stderr, "knocktail keygen: %s: %s\n", path,
		error == -EEXIST   ? "key already exists; not overwritten"
		: error == -EACCES ? "not permitted, or others may write into this directory"
				   : strerror(-error));
	return STATUS_FAILED;
}

static enum status keygen_create(const char *keys, const char *user, enum saying saying)
{
	CLEANUP(cleanup_secrets_free) struct secret *secret = NULL;
	CLEANUP(cleanup_close) int directory = -1;
	char name[FILE_NAME_MAX], path[PATH_MAX], line[SECRET_TEXT_SIZE + 2];
	struct stat st;
	enum status status;
	int r;

	snprintf(name, sizeof name, "%s.key", user);
	if ((size_t)snprintf(path, sizeof path, "%s/%s", keys, name) >= sizeof path)
		return keygen_fail(keys, -ENAMETOOLONG);
	if (sodium_init() < 0 || secrets_new(1, &secret) < 0)
		return keygen_fail(path, -ENOMEM);
	r = directory_open(keys, &directory, &st);
	if (r < 0)
		return keygen_fail(keys, r);
	randombytes_buf(secret->bytes, sizeof(secret->bytes));
	secret_format(secret, line);
	memcpy(line + strlen(line), "\n", 2);
	r = file_create(directory, &st, name, line);
	status = r < 0 ? keygen_fail(path, r) : keygen_say(saying, user, path, line);
	sodium_memzero(line, sizeof line);
	return status;
}

/* In the directory that the configuration names. */
static enum status keygen_configured(const char *path, const char *user, enum saying saying)
{
	struct config *config;
	enum status status = verb_load_config(path, &config);

	if (status != STATUS_OK)
		return status;
	status = keygen_create(config->keys, user, saying);
	config_free(config);
	return status;
}

static enum status keygen_run(int argc, char *argv[])
{
	enum { OPTION_KEYS = 256, OPTION_QR };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"keys", required_argument, NULL, OPTION_KEYS},
		{"output", required_argument, NULL, 'o'},
		{"qr", no_argument, NULL, OPTION_QR},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *path = NULL, *keys = NULL, *user;
	enum saying saying = SAY_ADVICE;
	bool qr = false, json = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case OPTION_KEYS:
			keys = optarg;
			break;
		case OPTION_QR:
			qr = true;
			break;
		case 'o':
			if (output_parse(&verb_keygen, optarg, &json) < 0)
				return STATUS_USAGE;
			break;
		case 'h':
			return verb_help(&verb_keygen);
		default:
			return verb_misused(&verb_keygen);
		}
	}
	if (optind >= argc || (path && keys) || (qr && json)) {
		fprintf(stderr, "knocktail keygen: %s\n",
			path && keys ? "--config and --keys cannot be combined"
			: qr && json ? "--qr and -o json cannot be combined"
				     : "no user");
		return verb_misused(&verb_keygen);
	}
	if (qr || json)
		saying = json ? SAY_JSON : SAY_ADVICE_AND_KEY;
	user = argv[optind++];
	if (verb_check_end(&verb_keygen, argc, argv) != STATUS_OK)
		return STATUS_USAGE;
	if (!user_is_name(user)) {
		fprintf(stderr,
			"knocktail keygen: a user is named by 1 to %d of a-z, 0-9, _ and -, a "
			"letter "
			"or a digit first\n",
			USER_NAME_MAX);
		return STATUS_USAGE;
	}
	return keys ? keygen_create(keys, user, saying)
		    : keygen_configured(path ? path : KNOCKTAIL_CONF, user, saying);
}

const struct verb verb_keygen = {
	.name = "keygen",
	.summary = "make a key for a user",
	.help = "Usage: knocktail keygen [-c FILE | --keys DIR] [--qr] [-o text|json] USER\n"
		"\n"
		"Writes a new key to USER.key in the directory of the keys, for tokens and SPA\n"
		"knocks, and says how to bring it to the client. A key that is there stays as it\n"
		"is.\n"
		"\n"
		"  -c, --config FILE  the configuration that names the directory\n"
		"                     (default: " KNOCKTAIL_CONF ")\n"
		"      --keys DIR     the directory; the configuration is not read\n"
		"      --qr           also show the key as a QR code\n"
		"  -o, --output FORM  text (default) or json: the user and the file\n"
		"  -h, --help         print this\n"
		"\n"
		"Exit status: 0 there is a new key, 1 there is none, 2 bad usage or "
		"configuration.\n",
	.run = keygen_run,
};
