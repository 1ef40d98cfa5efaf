/* SPDX-License-Identifier: Apache-2.0 */
/* channel_tls_test.c - what is spoken over TLS, and where a response ends (rows 108 and 111 of the catalogue). */
#include "tls_peer.h"

#define NO_LENGTH "HTTP/1.1 200 OK\r\n\r\nas long as it lasts"
#define CUT_SHORT "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nless"

/* The end of a connection ends a body without a length only if TLS says that it is the end; anybody can cut a wire. */
START_TEST(a_body_ends_with_close_notify)
{
    static const struct {
        const char *answer;
        bool says_end;
        const char *story;
        mesh_status status; /* of a failure */
    } rows[] = {
        { NO_LENGTH, true, "rshbe", MESH_OK },
        { NO_LENGTH, false, "rshbf", MESH_PARTIAL_RESPONSE },
        { OK_RESPONSE, true, "rshbe", MESH_OK },
        { OK_RESPONSE, false, "rshbe", MESH_OK },
        { CUT_SHORT, true, "rshbf", MESH_PARTIAL_RESPONSE },
        { CUT_SHORT, false, "rshbf", MESH_PARTIAL_RESPONSE },
    };
    secured.then_leave = true;
    scene.group.protocol = POOL_HTTP1;
    secure(secured.old);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk talk = { 0 };
        scene.answer = rows[i].answer;
        secured.says_end = rows[i].says_end;
        ask(&talk, 0, "");
        pass(PATIENCE);
        ck_assert_msg(strcmp(talk.story, rows[i].story) == 0, "row %zu: %s", i, talk.story);
        ck_assert_msg(talk.failure.status == rows[i].status, "row %zu: %s", i, mesh_status_name(talk.failure.status));
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

static struct tls_spec *spec_with(const struct issued *own, enum tls_side side, const char *const *alpn)
{
    struct tls_settings settings = { .with_certificate = true, .alpn = alpn };
    while (settings.alpn_count < 2 && alpn[settings.alpn_count] != NULL)
        settings.alpn_count++;
    struct tls_identity *identity = certificates_identity(own, secured.authority.certificate);
    struct tls_spec *spec = certificates_spec(identity, side, &settings);
    mesh__tls_identity_unref(identity);
    return spec;
}

/* What the peer chose decides; where it chose nothing, HTTP/1.1 is spoken unless only HTTP/2 is allowed. */
START_TEST(the_protocol_is_agreed_or_the_dial_fails)
{
    static const struct {
        const char *offered[2], *accepted[2];
        enum pool_protocol protocol;
        const struct channel_codec *codec;
        mesh_status status;
    } rows[] = {
        { { "h2", "http/1.1" }, { "h2", "http/1.1" }, POOL_AUTO, &mesh__codec_http2, MESH_OK },
        { { "h2", "http/1.1" }, { "http/1.1" }, POOL_AUTO, &mesh__codec_http1, MESH_OK },
        { { "h2", "http/1.1" }, { NULL }, POOL_AUTO, &mesh__codec_http1, MESH_OK },
        { { "istio-h2", "istio-http/1.1" }, { "istio-h2" }, POOL_AUTO, &mesh__codec_http2, MESH_OK },
        { { "istio-h2", "istio-http/1.1" }, { "istio-http/1.1" }, POOL_AUTO, &mesh__codec_http1, MESH_OK },
        { { "h2", "http/1.1" }, { "spdy" }, POOL_AUTO, NULL, MESH_TLS_REFUSED_BY_PEER },
        { { "http/1.1" }, { "http/1.1" }, POOL_HTTP1, &mesh__codec_http1, MESH_OK },
        { { NULL }, { NULL }, POOL_HTTP1, &mesh__codec_http1, MESH_OK },
        { { "h2" }, { "h2" }, POOL_HTTP2, &mesh__codec_http2, MESH_OK },
        { { "h2" }, { NULL }, POOL_HTTP2, NULL, MESH_PROTOCOL },
        { { "h2" }, { "http/1.1" }, POOL_HTTP2, NULL, MESH_TLS_REFUSED_BY_PEER },
        { { NULL }, { NULL }, POOL_HTTP2, &mesh__codec_http2, MESH_OK }, /* nobody was asked */
    };
    scene.answer = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk talk = { 0 };
        struct tls_spec *spec = spec_with(&secured.own[0], TLS_CLIENT, rows[i].offered);
        mesh__tls_spec_unref(secured.accepts);
        secured.accepts = spec_with(&secured.leaf, TLS_SERVER, rows[i].accepted);
        scene.group.protocol = rows[i].protocol;
        secure(spec);
        ask(&talk, 0, "");
        pass(4 * FLIGHT);
        ck_assert_msg(talk.failure.status == rows[i].status, "row %zu: %s", i, mesh_status_name(talk.failure.status));
        const struct channel *channel = talk.exchange.channel;
        ck_assert_msg((channel ? channel->codec : NULL) == rows[i].codec, "row %zu", i);
        mesh__exchange_cancel(&talk.exchange);
        mesh__tls_spec_unref(spec);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { a_body_ends_with_close_notify, the_protocol_is_agreed_or_the_dial_fails };
    return run_suite_in("channel: TLS", tests, sizeof(tests) / sizeof(tests[0]), tls_setup, tls_teardown);
}
