#include "config/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/check-commands.h"
#include "config/check-knocks.h"
#include "config/check.h"
#include "config/config.h"
#include "config/draft.h"
#include "config/files.h"
#include "config/forwards.h"
#include "config/ini/ini.h"
#include "util/cleanup.h"

/* Each file by itself: a value belongs to a section of its own file. */
static int scan_files(const struct config_files *files, struct complaints *complaints,
		      struct ini *ini)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < files->n; i++) {
		const struct config_file *file = &files->items[i];

		if (file->path)
			r = complaints_enter(complaints, file->path, ini->n_lines);
		if (r == 0)
			r = ini_scan(ini, file->data, file->size, complaints);
	}
	return r < 0 ? r : ini_join(ini, complaints);
}

static int build_draft(const struct config_files *files, const char *proc_net, struct draft *draft,
		       struct complaints *complaints)
{
	struct ini ini CLEANUP(ini_done) = {0};
	int r = scan_files(files, complaints, &ini);

	if (r < 0)
		return r;
	r = draft_build(&ini, complaints, draft);
	if (r < 0)
		return r;
	draft_link_logs(draft, complaints);
	draft_check_doors(draft, complaints);
	draft_check_commands(draft, complaints);
	draft_check_forwards(draft, proc_net != NULL, complaints);
	r = draft_check_tags(draft, complaints);
	if (r == 0)
		r = draft_check_knocks(draft, complaints);
	if (r == 0 && proc_net)
		r = draft_check_ports(draft, proc_net, complaints);
	return r;
}

/* Where the configuration does not name it, the set of the expected ports has this name, and lies
 * where the sets of the doors do. */
static int name_expected_ports(struct config *config)
{
	static const char name[] = "knocktail_expected";
	const char *beside = NULL;
	int length = 0;

	if (config->expected_ports)
		return 0;
	for (size_t i = 0; i < config->n_doors; i++) {
		const struct opening *opening = &config->doors[i].opening;

		if (opening->backend == BACKEND_NFT)
			beside =
				opening->set[opening->set[FAMILY_IPV4] ? FAMILY_IPV4 : FAMILY_IPV6];
	}
	if (beside)
		length = (int)(strrchr(beside, ' ') + 1 - beside);
	if (asprintf(&config->expected_ports, "%.*s%s", length, beside ? beside : "", name) < 0) {
		config->expected_ports = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* What opens this machine's ports must never open others': the rules of doors that forward are in
 * chains of their own. */
static int name_forward_chains(struct config *config)
{
	for (size_t i = 0; i < config->n_doors; i++) {
		struct opening *opening = &config->doors[i].opening;
		char *name;

		if (!opening->chain || !opening_forwards(opening))
			continue;
		if (asprintf(&name, "%s" FORWARD_CHAIN_SUFFIX, opening->chain) < 0)
			return -ENOMEM;
		free(opening->chain);
		opening->chain = name;
	}
	return 0;
}

static int load_files(const struct config_files *files, const char *proc_net,
		      struct config **ret_config, struct complaints *complaints)
{
	struct draft draft CLEANUP(draft_done) = {0};
	int r = build_draft(files, proc_net, &draft, complaints);

	complaints_sort(complaints);
	if (r < 0)
		return r;
	if (complaints->error < 0)
		return complaints->error;
	if (complaints->n_errors > 0)
		return -EBADMSG;
	r = name_expected_ports(draft.config);
	if (r == 0)
		r = name_forward_chains(draft.config);
	if (r < 0)
		return r;
	*ret_config = TAKE_PTR(draft.config);
	return 0;
}

int config_load_bytes(const char *data, size_t size, const char *proc_net,
		      struct config **ret_config, struct complaints *ret_complaints)
{
	struct config_file file = {.data = (char *)data, .size = size};

	*ret_complaints = (struct complaints){0};
	return load_files(&(struct config_files){&file, 1}, proc_net, ret_config, ret_complaints);
}

int config_load(const char *path, struct config **ret_config, struct complaints *ret_complaints)
{
	struct config_files files CLEANUP(config_files_done) = {0};
	int r;

	*ret_complaints = (struct complaints){0};
	r = config_files_read(path, &files, ret_complaints);
	if (r < 0)
		return r;
	return load_files(&files, "/proc/self/net", ret_config, ret_complaints);
}
