#include "core/filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "core/other-log.h"
#include "core/probe.h"

const struct filter filter_default = {
	.flags_set = TCP_FLAG_SYN,
	.flags_clear = TCP_FLAG_ACK,
};

static const struct {
	const char *name;
	uint8_t flag;
} flag_names[] = {
	{"fin", TCP_FLAG_FIN}, {"syn", TCP_FLAG_SYN}, {"rst", TCP_FLAG_RST}, {"psh", TCP_FLAG_PSH},
	{"ack", TCP_FLAG_ACK}, {"urg", TCP_FLAG_URG}, {"ece", TCP_FLAG_ECE}, {"cwr", TCP_FLAG_CWR},
};

static uint8_t flag_by_name(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++)
		if (length == 3 && strncasecmp(name, flag_names[i].name, 3) == 0)
			return flag_names[i].flag;
	return 0;
}

int filter_parse_flags(const char *text, struct filter *filter)
{
	uint8_t set = 0, clear = 0;

	text += strspn(text, ", \t");
	while (*text) {
		bool negated = *text == '!';
		size_t length;
		uint8_t flag;

		text += negated;
		length = strcspn(text, ", \t");
		flag = flag_by_name(text, length);
		if (!flag || (set | clear) & flag)
			return -EINVAL;
		if (negated)
			clear |= flag;
		else
			set |= flag;
		text += length;
		text += strspn(text, ", \t");
	}
	if (!(set | clear))
		return -EINVAL;
	filter->flags_set = set;
	filter->flags_clear = clear;
	return 0;
}

bool filter_is_logged_here(const struct filter *filter)
{
	return filter->log == OTHER_LOG_KERNEL || filter->by_nflog;
}

bool filter_equal(const struct filter *a, const struct filter *b)
{
	return a->log == b->log && a->flags_set == b->flags_set &&
	       a->flags_clear == b->flags_clear && a->has_target == b->has_target &&
	       (!a->has_target || address_equal(&a->target, &b->target)) &&
	       strcmp(a->interface, b->interface) == 0;
}

/* As iptables takes a name with a plus sign at its end. */
bool filter_takes_interface(const struct filter *filter, const char *interface)
{
	size_t length = strlen(filter->interface);

	if (length == 0)
		return true;
	if (filter->interface[length - 1] == '+')
		return strncmp(filter->interface, interface, length - 1) == 0;
	return strcmp(filter->interface, interface) == 0;
}

bool filter_passes(const struct filter *filter, const struct probe *probe)
{
	if (filter->log != probe->log)
		return false;
	if (probe->protocol == IPPROTO_TCP &&
	    ((probe->tcp_flags & filter->flags_set) != filter->flags_set ||
	     (probe->tcp_flags & filter->flags_clear)))
		return false;
	if (filter->has_target && !address_equal(&filter->target, &probe->target))
		return false;
	return filter_takes_interface(filter, probe->interface);
}
