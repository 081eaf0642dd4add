/* The verbs of knocktail: one file and one row each. */
#pragma once

enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_ABSENT = 3, /* it needs the daemon, and that does not run */
};

struct verb {
	const char *name;
	const char *summary;
	const char *help; /* what `knocktail NAME --help` prints */
	/* argv[0] is how complaints begin: "knocktail NAME". */
	enum status (*run)(int argc, char *argv[]);
};

extern const struct verb verb_audit, verb_check, verb_close, verb_doctor, verb_fleet, verb_import,
	verb_keygen, verb_keys, verb_list, verb_metrics, verb_open, verb_page, verb_reload,
	verb_replay, verb_rules, verb_setup, verb_status, verb_watch;

/* What a verb's run() returns for --help (the help has been printed) and for a wrong option. */
enum status verb_help(const struct verb *verb);
enum status verb_misused(const struct verb *verb);

/* Complains about the first argument that is left over, if any. */
enum status verb_check_end(const struct verb *verb, int argc, char *argv[]);
