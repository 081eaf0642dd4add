/* The context of libnftables that a firewall keeps. */
#pragma once

struct nft_client;

struct nft_client *nft_client_free(struct nft_client *client);
