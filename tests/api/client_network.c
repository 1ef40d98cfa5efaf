/* SPDX-License-Identifier: Apache-2.0 */
/* client_network.c - the harness's networks and peers, and configs that lead to them. */
#include "api/client_harness.h"
#include "support/certificates.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    char folder[64];
    struct issued authority, client, server;
} papers;

void harness_make_certificates(void)
{
    certificates_folder(papers.folder);
    certificates_authority(&papers.authority);
    certificates_svid(&papers.authority, "order", &papers.client);
    certificates_svid(&papers.authority, "test", &papers.server);
    certificates_put(papers.folder, "shop.pem", papers.authority.certificate);
    certificates_write(papers.folder, "order", &papers.client);
}

void harness_remove_certificates(void)
{
    certificates_remove(papers.folder);
    issued_free(&papers.authority);
    issued_free(&papers.client);
    issued_free(&papers.server);
}

static void begin_tls(struct harness *harness)
{
    static const char *const alpn[] = { "h2", "http/1.1" };
    const struct tls_settings settings = { .with_certificate = true, .resume = true, .alpn = alpn, .alpn_count = 2 };
    ck_assert_msg(papers.folder[0] != '\0', "harness_make_certificates() was not called");
    struct tls_identity *identity = certificates_identity(&papers.server, papers.authority.certificate);
    harness->spec = certificates_spec(identity, TLS_SERVER, &settings);
    mesh__tls_identity_unref(identity);
}

static void begin_sockets(struct harness *harness, const struct http_layers *layers)
{
    harness->peer = http_peer_start(harness->script, layers, HARNESS_ENDPOINTS);
    for (int i = 0; i < HARNESS_ENDPOINTS; i++)
        (void)snprintf(harness->endpoints[i], PEER_TEXT, "%s", http_peer_address(harness->peer, i));
    for (int i = 0; i < HARNESS_REFUSING; i++)
        harness->refusing_fds[i] = http_peer_refusing(harness->refusing[i]);
    harness->world = &mesh__world_real;
}

static void begin_memory(struct harness *harness, const struct http_layers *layers)
{
    harness->memory = mesh__memory_new(&mesh__world_real);
    ck_assert_ptr_nonnull(harness->memory);
    harness->memory_peer = http_memory_peer_new(harness->memory, harness->script, layers);
    for (int i = 0; i < HARNESS_ENDPOINTS; i++) {
        (void)snprintf(harness->endpoints[i], PEER_TEXT, "10.0.0.%d:80", i + 1);
        http_memory_peer_listen(harness->memory_peer, harness->endpoints[i], i);
    }
    for (int i = 0; i < HARNESS_REFUSING; i++)
        (void)snprintf(harness->refusing[i], PEER_TEXT, "10.0.1.%d:80", i + 1);
    harness->world = mesh__memory_world(harness->memory);
}

void harness_begin(struct harness *harness, const struct cell *cell)
{
    memset(harness, 0, sizeof(*harness));
    harness->cell = *cell;
    pthread_mutex_init(&harness->lock, NULL);
    harness->script = script_new();
    if (cell->secured)
        begin_tls(harness);
    bool inverting = cell->network == NETWORK_INVERTING;
    const struct http_layers layers = { harness->spec, inverting && cell->secured };
    if (cell->network == NETWORK_SOCKETS || (inverting && cell->threads == 1))
        begin_sockets(harness, &layers);
    else
        begin_memory(harness, &layers);
    if (inverting) {
        inverting_world_init(&harness->inverting, harness->world);
        harness->world = &harness->inverting.world;
    }
    harness->options = (mesh_options)MESH_OPTIONS_INIT;
    harness->options.seed = 1;
}

void harness_end(struct harness *harness)
{
    if (harness->peer) {
        http_peer_stop(harness->peer);
        for (int i = 0; i < HARNESS_REFUSING; i++)
            close(harness->refusing_fds[i]);
    }
    if (harness->memory_peer)
        http_memory_peer_free(harness->memory_peer);
    mesh__memory_free(harness->memory);
    mesh__tls_spec_unref(harness->spec);
    script_free(harness->script);
    pthread_mutex_destroy(&harness->lock);
}

/* ---- configs ---- */

static void substitute(const struct harness *harness, const char *text, char *out, size_t room)
{
    size_t size = 0;
    for (; *text && size + PEER_TEXT < room; text++) {
        const char *put = NULL;
        if (*text == '@' && text[1] >= '0' && text[1] < '0' + HARNESS_ENDPOINTS)
            put = harness->endpoints[text[1] - '0'];
        else if (*text == '!' && text[1] >= '0' && text[1] < '0' + HARNESS_REFUSING)
            put = harness->refusing[text[1] - '0'];
        if (put) {
            size += (size_t)snprintf(out + size, room - size, "%s", put);
            text++;
        } else {
            out[size++] = *text == '\'' ? '"' : *text;
        }
    }
    ck_assert_msg(*text == '\0', "the config is too long");
    out[size] = '\0';
}

static void set(struct harness *harness, mesh_config *config, const char *place, const char *text)
{
    char json[4096];
    substitute(harness, text, json, sizeof(json));
    ck_assert_msg(mesh_config_set_json(config, place, json) == MESH_OK, "%s: %s", place, json);
}

/* Who this program is, and mutual TLS for every service. With many handshakes at once one may take its time. */
static void secure(struct harness *harness, mesh_config *config)
{
    char text[400];
    const char *folder = papers.folder;
    (void)snprintf(text, sizeof(text),
                   "{'certificate': '%s/order.pem', 'key': '%s/order.key', 'trust': {'shop': '%s/shop.pem'}}", folder,
                   folder, folder);
    set(harness, config, "/identity", text);
    set(harness, config, "/defaults/tls", "{'mode': 'mutual', 'peers': ['spiffe://shop/test']}");
    set(harness, config, "/defaults/connect_timeout", "'10s'");
}

/* Each of the other threads may have a connection of its own, but not where that costs a handshake. */
#define OTHERS "{'endpoints': ['@3'], 'timeout': '60s'"

mesh_config *harness_config(struct harness *harness, const char *services)
{
    mesh_config *config;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    set(harness, config, "/services", services);
    if (harness->cell.threads > 1)
        set(harness, config, "/services/others",
            harness->cell.secured ? OTHERS ", 'limits': {'max_connections': 4}}" : OTHERS "}");
    set(harness, config, "/defaults/protocol", harness->cell.http2 ? "'http2'" : "'http1'");
    if (harness->cell.secured)
        secure(harness, config);
    return config;
}
