/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - a flag and a list of the calls that listen to it. */
#include "client/token.h"

#include "client/driver.h"

#include <stdlib.h>

/* Tokens live in malloc: they may precede and outlive every client. */
struct mesh_token {
    struct refs refs;
    pthread_mutex_t lock; /* of what follows; nothing else is locked inside it */
    bool cancelled;
    struct list links;
};

mesh_token *mesh__token_new(void)
{
    mesh_token *token = malloc(sizeof(*token));
    if (token == NULL)
        return NULL;
    mesh__refs_init(&token->refs);
    (void)pthread_mutex_init(&token->lock, NULL); /* cannot fail without attributes */
    token->cancelled = false;
    mesh__list_init(&token->links);
    return token;
}

mesh_token *mesh__token_ref(mesh_token *token)
{
    if (token)
        mesh__refs_ref(&token->refs);
    return token;
}

void mesh__token_unref(mesh_token *token)
{
    if (token == NULL || !mesh__refs_unref(&token->refs))
        return;
    pthread_mutex_destroy(&token->lock);
    free(token);
}

bool mesh__token_attach(mesh_token *token, struct call *call)
{
    call->token_link = (struct token_link){ .client = call->shard->client, .id = mesh__call_id(call) };
    pthread_mutex_lock(&token->lock);
    bool open = !token->cancelled;
    if (open)
        mesh__list_push(&token->links, &call->token_link.link);
    pthread_mutex_unlock(&token->lock);
    return open;
}

void mesh__token_detach(mesh_token *token, struct call *call)
{
    pthread_mutex_lock(&token->lock);
    mesh__list_remove(&call->token_link.link);
    pthread_mutex_unlock(&token->lock);
}

void mesh__token_cancel(mesh_token *token)
{
    pthread_mutex_lock(&token->lock);
    token->cancelled = true;
    /* A call that is in the list is live, and its client with it; posting a cancellation takes no lock. */
    for (struct list *node = token->links.next; node != &token->links; node = node->next) {
        struct token_link *link = CONTAINER_OF(node, struct token_link, link);
        (void)mesh__driver_cancel(link->client, link->id);
    }
    pthread_mutex_unlock(&token->lock);
}
