/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.c - by the dispatcher in owned mode; in external mode by one of the threads that process loops. */
#include "client/delivery.h"

#include "client/complete.h"
#include "net/reentry.h"

void mesh__delivery_run(void *user)
{
    struct mesh_client *client = user;
    uint32_t left = client->options.on_completion ? atomic_load(&client->completions_count) : 0;
    mesh_completion completion = MESH_COMPLETION_INIT;
    while (left-- > 0 && !atomic_load(&client->free_wanted) && mesh__complete_take(client, &completion))
        client->options.on_completion(&completion, client->options.user);
    mesh__outbox_drain(client->outbox);
}

void mesh__delivery_wake(void *user, bool urgent)
{
    struct mesh_client *client = user;
    if (client->dispatcher)
        mesh__dispatcher_wake(client->dispatcher, urgent);
    else if (mesh__client_external(client) && client->shards_made > 0 && !mesh__in_turn())
        mesh__loop_kick(&client->shards[0]->loop); /* inside of a turn, its process delivers at its end */
}

bool mesh__delivery_pending(struct mesh_client *client)
{
    return (client->options.on_completion && atomic_load(&client->completions_count) > 0) ||
           mesh__outbox_pending(client->outbox);
}

bool mesh__delivery_await(struct mesh_client *client, mesh_nanos deadline)
{
    struct dispatcher *dispatcher = client->dispatcher;
    if (dispatcher == NULL || mesh__dispatcher_is_self(dispatcher))
        return true;
    if (!mesh__delivery_pending(client) &&
        !mesh__dispatcher_is_working(dispatcher)) /* in this order: what it took, it is at */
        return true;
    mesh_nanos left = deadline;
    if (deadline != NANOS_NEVER)
        left = mesh__nanos_sub(deadline, client->world->now(client->world));
    return mesh__dispatcher_flush(dispatcher, left);
}

/* One thread at a time delivers; callbacks may call anything that does not wait. Whoever finds another thread at it
 * leaves what there is to that one, which looks again after it has said that it is done: what is left then makes its
 * loop's descriptor readable. */
bool mesh__delivery_alone(struct mesh_client *client, struct shard *shard)
{
    if (atomic_exchange(&client->delivering, true))
        return false;
    client->deliverer = pthread_self();
    mesh__delivery_run(client);
    if (atomic_load(&client->free_wanted))
        return true; /* and stays the one that delivers, so that nobody else does */
    atomic_store(&client->delivering, false);
    if (mesh__delivery_pending(client))
        mesh__loop_kick(&shard->loop);
    return false;
}

bool mesh__delivery_is_self(struct mesh_client *client)
{
    if (client->dispatcher)
        return mesh__dispatcher_is_self(client->dispatcher);
    return atomic_load(&client->delivering) && pthread_equal(pthread_self(), client->deliverer);
}
