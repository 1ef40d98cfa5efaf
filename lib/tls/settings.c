/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - whether two sides speak TLS in the same way. */
#include "tls/tls.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_demand(const struct tls_demand *a, const struct tls_demand *b)
{
    if (a->verify != b->verify || a->peer_count != b->peer_count || !same_text(a->name, b->name))
        return false;
    for (size_t i = 0; i < a->peer_count; i++)
        if (a->peers[i].kind != b->peers[i].kind || !mesh__view_equal(a->peers[i].id.text, b->peers[i].id.text))
            return false;
    return true;
}

bool mesh__tls_settings_equal(const struct tls_settings *a, const struct tls_settings *b)
{
    if (a->with_certificate != b->with_certificate || a->resume != b->resume || a->alpn_count != b->alpn_count ||
        !same_text(a->bundle, b->bundle) || !same_text(a->server_name, b->server_name))
        return false;
    for (size_t i = 0; i < a->alpn_count; i++)
        if (!same_text(a->alpn[i], b->alpn[i]))
            return false;
    return same_demand(&a->demand, &b->demand);
}
