/* SPDX-License-Identifier: Apache-2.0 */
/* server_tls_scene.h - certificates, log lines and a server that speaks TLS, for the tests about it. */
#ifndef TESTS_API_SERVER_TLS_SCENE_H
#define TESTS_API_SERVER_TLS_SCENE_H

#include "api/server_papers.h"
#include "api/server_peer.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define MUTUAL "\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]"

static struct papers papers;
static struct lines lines;
static mesh_options options;

static void setup(void)
{
    papers_make(&papers);
    lines_init(&lines);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    options = (mesh_options)MESH_OPTIONS_INIT;
    options.on_log = lines_log;
    options.log_level = MESH_LOG_DEBUG;
    options.user = &lines;
}

static void teardown(void)
{
    lines_fini(&lines);
    papers_remove(&papers);
}

/* Says who asks: "1 spiffe://shop/order". */
static inline void tell_peer(mesh_exchange *exchange, void *user)
{
    char text[200];
    (void)user;
    ck_assert_int_eq(strncmp(mesh_exchange_peer_address(exchange), "127.0.0.1:", 10), 0);
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body_size = (size_t)snprintf(text, sizeof(text), "%d %s", (int)mesh_exchange_is_secure(exchange),
                                       mesh_exchange_peer_id(exchange));
    reply.body = text;
    (void)mesh_exchange_reply(exchange, &reply);
}

static inline mesh_server *open_tls(const char *mode, mesh_handler handler, void *user)
{
    char settings[400];
    (void)snprintf(settings, sizeof(settings), "\"workers\": 2, \"tls\": {\"mode\": \"%s\"}", mode);
    return papers_server(&papers, "payment", settings, "", &options, handler, user);
}

#endif
