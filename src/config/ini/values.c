#include "config/ini/values.h"

#include <errno.h>
#include <iniparser.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/complaint.h"
#include "config/ini/ini.h"

/* The section's name towards iniparser: the real one it would cut at a ']'. */
#define SECTION "s"

/* iniparser opens a path. It gets the lines that ini_scan() has approved and no others, from
 * memory: what was checked is what is read. Section by section, because each of its look-ups walks
 * through all keys. */
struct values {
	int fd;
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	dictionary *dictionary;
};

/* Complaints are ours, not iniparser's. */
__attribute__((format(printf, 1, 2))) static int hush(const char *format, ...)
{
	(void)format;
	return 0;
}

int values_new(struct values **ret)
{
	struct values *values = calloc(1, sizeof(*values));
	int r;

	if (!values)
		return -ENOMEM;
	values->fd = memfd_create("knocktail-config", MFD_CLOEXEC);
	if (values->fd < 0) {
		r = -errno;
		values_free(values);
		return r;
	}
	snprintf(values->path, sizeof(values->path), "/proc/self/fd/%d", values->fd);
	iniparser_set_error_callback(hush);
	*ret = values;
	return 0;
}

static void forget(struct values *values)
{
	if (values->dictionary)
		iniparser_freedict(values->dictionary);
	values->dictionary = NULL;
}

struct values *values_free(struct values *values)
{
	if (!values)
		return NULL;
	forget(values);
	if (values->fd >= 0)
		close(values->fd);
	free(values);
	return NULL;
}

static int write_section(int fd, const struct ini_section *section)
{
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	if (dprintf(fd, "[" SECTION "]\n") < 0)
		return -errno;
	for (size_t i = 0; i < section->n_entries; i++) {
		const struct ini_entry *entry = &section->entries[i];

		if (dprintf(fd, "%.*s\n", (int)entry->length, entry->text) < 0)
			return -errno;
	}
	return 0;
}

/* One key that iniparser does not have, or that it has and the scan has not, is a line that the two
 * understand differently. */
static int compare(const struct values *values, const struct ini_section *section,
		   struct complaints *complaints)
{
	for (size_t i = 0; i < section->n_entries; i++) {
		const struct ini_entry *entry = &section->entries[i];

		if (values_get(values, entry->key))
			continue;
		complain_error(complaints, entry->line, "the line is not understood");
		return -EBADMSG;
	}
	if ((size_t)values->dictionary->n == section->n_entries + 1)
		return 0;
	complain_error(complaints, section->line, "a line of [%s] is not understood",
		       section->name);
	return -EBADMSG;
}

int values_load(struct values *values, const struct ini_section *section,
		struct complaints *complaints)
{
	int r;

	forget(values);
	r = write_section(values->fd, section);
	if (r < 0)
		return r;
	errno = 0;
	values->dictionary = iniparser_load(values->path);
	if (errno == ENOMEM)
		return -ENOMEM; /* iniparser leaves out what it had no memory for */
	if (!values->dictionary && errno != 0)
		return -errno;
	if (!values->dictionary) {
		complain_error(complaints, section->line, "a line of [%s] is not understood",
			       section->name);
		return -EBADMSG;
	}
	return compare(values, section, complaints);
}

const char *values_get(const struct values *values, const char *key)
{
	char name[INI_LINE_MAX + sizeof(SECTION ":")];

	snprintf(name, sizeof(name), SECTION ":%s", key);
	return iniparser_getstring(values->dictionary, name, NULL);
}
