/* The session with libipset that a firewall keeps. */
#pragma once

struct ipset_client;

struct ipset_client *ipset_client_free(struct ipset_client *client);
