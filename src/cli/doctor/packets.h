/* The packets that the checks ask about, and words for what becomes of them. */
#pragma once

#include "core/address.h"
#include "core/opening/ports.h"
#include "core/sequence.h"
#include "ruleset/packet.h"
#include "ruleset/walk.h"

struct doctor;
struct door;

/* A port that hardly anybody uses for anything. */
enum { NO_PORT = 47 };

/* Where a stranger's packet comes in. */
void doctor_set_arrival(const struct doctor *doctor, struct packet *packet);

/* A packet of a knock at the door. */
struct packet doctor_probe(const struct doctor *doctor, const struct door *door, enum family family,
			   struct step step);

/* A new connection to what the door guards. */
struct packet doctor_connection(const struct doctor *doctor, const struct door *door,
				enum family family, struct step port);

/* The answer to it. */
struct packet doctor_answer(const struct doctor *doctor, const struct door *door,
			    enum family family, struct step port);

/* What the door guards, as far as it says. All ports are in it as ranges, too. */
void doctor_guarded(const struct door *door, struct port_set *ret);

/* Room for a few rules. */
enum { BY_MAX = 2048 };

/* What has decided; `text` is room for it. */
const char *outcome_by(const struct outcome *outcome, char text[static BY_MAX]);

/* Why it is not sure, to be put after the above; "": it is. */
const char *outcome_doubt(const struct outcome *outcome, char text[static BY_MAX]);
