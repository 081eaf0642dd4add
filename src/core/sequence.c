#include "core/sequence.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

const char *protocol_word(uint8_t protocol)
{
	return protocol == IPPROTO_UDP ? "udp" : "tcp";
}

static int protocol_parse(const char *text, size_t length, uint8_t *ret)
{
	if (length != 3)
		return -EINVAL;
	if (strncasecmp(text, "tcp", 3) == 0)
		*ret = IPPROTO_TCP;
	else if (strncasecmp(text, "udp", 3) == 0)
		*ret = IPPROTO_UDP;
	else
		return -EINVAL;
	return 0;
}

static int step_parse_span(const char *text, size_t length, struct step *ret)
{
	struct step step = {.protocol = IPPROTO_TCP};
	unsigned port = 0;
	size_t i;

	for (i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
		port = port * 10 + (unsigned)(text[i] - '0');
		if (port > UINT16_MAX)
			return -EINVAL;
	}
	if (port == 0)
		return -EINVAL;
	if (i < length) {
		if (text[i] != '/' && text[i] != ':')
			return -EINVAL;
		i++;
		if (protocol_parse(text + i, length - i, &step.protocol) < 0)
			return -EINVAL;
	}
	step.port = (uint16_t)port;
	*ret = step;
	return 0;
}

int step_parse(const char *text, struct step *ret)
{
	return step_parse_span(text, strlen(text), ret);
}

int sequence_parse(const char *text, struct sequence *ret, size_t *ret_step)
{
	static const char separators[] = ", \t";
	struct sequence sequence = {0};

	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t length = strcspn(text, separators);

		if (sequence.n_steps == SEQUENCE_STEPS_MAX)
			return -E2BIG;
		if (step_parse_span(text, length, &sequence.steps[sequence.n_steps]) < 0) {
			*ret_step = sequence.n_steps + 1u;
			return -EINVAL;
		}
		sequence.n_steps++;
		text += length;
	}
	if (sequence.n_steps == 0) {
		*ret_step = 0;
		return -EINVAL;
	}
	*ret = sequence;
	return 0;
}

bool sequence_equal(const struct sequence *a, const struct sequence *b)
{
	if (a->n_steps != b->n_steps)
		return false;
	for (size_t i = 0; i < a->n_steps; i++)
		if (a->steps[i].port != b->steps[i].port ||
		    a->steps[i].protocol != b->steps[i].protocol)
			return false;
	return true;
}

bool sequence_ascends(const struct sequence *sequence)
{
	for (size_t i = 1; i < sequence->n_steps; i++)
		if (sequence->steps[i].port <= sequence->steps[i - 1].port ||
		    sequence->steps[i].protocol != sequence->steps[i - 1].protocol)
			return false;
	return true;
}
