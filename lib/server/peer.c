/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - one block: the struct, then the id's text. */
#include "server/peer.h"

struct peer *mesh__peer_new(const struct mem *mem, const char *address, bool secure, uint32_t epoch, const char *id)
{
    size_t size = strlen(id);
    struct peer *peer = mesh__zalloc(mem, sizeof(*peer) + size + 1);
    if (peer == NULL)
        return NULL;
    mesh__refs_init(&peer->refs);
    peer->secure = secure;
    peer->epoch = epoch;
    size_t length = strlen(address);
    memcpy(peer->address, address, length < sizeof(peer->address) ? length : sizeof(peer->address) - 1);
    char *text = (char *)(peer + 1);
    memcpy(text, id, size + 1);
    if (mesh__spiffe_parse(mesh__view(text, size), &peer->id) != NULL)
        peer->id.text = mesh__view(text + size, 0);
    return peer;
}

struct peer *mesh__peer_ref(struct peer *peer)
{
    mesh__refs_ref(&peer->refs);
    return peer;
}

void mesh__peer_unref(const struct mem *mem, struct peer *peer)
{
    if (peer != NULL && mesh__refs_unref(&peer->refs))
        mesh__mem_free(mem, peer);
}

const char *mesh__peer_name(const struct peer *peer)
{
    return peer->address[0] ? peer->address : "a local peer";
}
