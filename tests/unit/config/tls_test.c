/* SPDX-License-Identifier: Apache-2.0 */
/* tls_test.c - identities and TLS settings: what they become, and the exact words for those that are refused. */
#include "config/config.h"
#include "told.h"

/* Around what a service or a server says, which begins in line 2, column 1. */
#define HEAD                                                                                                           \
    "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"services\":{\"s\":{"             \
    "\"endpoints\":[\"127.0.0.1:1\",\"127.0.0.1:2\"],\n"
#define TWO_BUNDLES                                                                                                    \
    "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\",\"pay\":\"u\"}},\"services\":{"      \
    "\"s\":{\"endpoints\":[\"127.0.0.1:1\",\"127.0.0.1:2\"],\n"
#define NO_IDENTITY "{\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\",\"127.0.0.1:2\"],\n"
#define SERVER                                                                                                         \
    "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"servers\":{\"v\":{\"listen\":"   \
    "\"127.0.0.1:1\",\n"

/* Identities, and what is said for TLS as a whole. */
static const struct row identities[] = {
    { "\"identity\":1", "f:1:13: config: /identity: 1 is no object, expected one" },
    { "\"identity\":{}",
      "f:1:13: config: /identity: trust is missing, expected the file of at least one trust domain" },
    { "\"identity\":{\"trust\":[]}",
      "f:1:22: config: /identity/trust: a list is no object, expected one of trust domains and files" },
    { "\"identity\":{\"trust\":{}}",
      "f:1:22: config: /identity/trust: the object is empty, expected the file of at least one trust domain" },
    { "\"identity\":{\"trust\":{\"Shop\":\"a\",\"b\":\"\",\"c\":1}}",
      "f:1:23: config: /identity/trust/Shop: this is no name of a trust domain: a trust domain holds only a-z, 0-9, "
      "'.', '-' and '_'\n"
      "f:1:38: config: /identity/trust/b: the path is empty, expected that of a file\n"
      "f:1:45: config: /identity/trust/c: 1 is no string, expected the path of a file" },
    { "\"identity\":{\"certificate\":\"c\",\"trust\":{\"a\":\"b\"}}",
      "f:1:28: config: /identity/certificate: the certificate has no key, expected \"key\" beside it" },
    { "\"identity\":{\"key\":\"c\",\"trust\":{\"a\":\"b\"}}",
      "f:1:20: config: /identity/key: the key has no certificate, expected \"certificate\" beside it" },
    { "\"identity\":{\"certificate\":\"\",\"key\":1,\"crl\":[],\"trust\":{\"a\":\"b\"},\"expiry_warning\":\"1ms\","
      "\"reload\":1}",
      "f:1:28: config: /identity/certificate: the path is empty, expected that of a file\n"
      "f:1:37: config: /identity/key: 1 is no string, expected the path of a file\n"
      "f:1:45: config: /identity/crl: a list is no string, expected the path of a file\n"
      "f:1:83: config: /identity/expiry_warning: \"1ms\" is out of range, expected \"1s\" to \"8760h\"\n"
      "f:1:89: config: /identity/reload: unknown key, expected one of certificate, key, trust, crl, expiry_warning" },
    { "\"tls\":{\"handshake_threads\":17,\"mode\":\"x\"}",
      "f:1:29: config: /tls/handshake_threads: 17 is out of range, expected 0 to 16\n"
      "f:1:32: config: /tls/mode: unknown key, expected one of handshake_threads" },
    { "\"tls\":\"mutual\"", "f:1:8: config: /tls: \"mutual\" is no object, expected one" },
};

/* Services of a document without an identity. */
static const struct row service_modes[] = {
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"none\"}",
      "f:2:15: config: /services/s/tls/mode: \"simple\" needs an identity, expected \"identity\" at the top of the "
      "document" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\"]}",
      "f:2:15: config: /services/s/tls/mode: \"mutual\" needs an identity, expected \"identity\" at the top of the "
      "document" },
    { "\"tls\":{\"mode\":\"mtls\"}",
      "f:2:15: config: /services/s/tls/mode: \"mtls\" is unknown, expected \"disable\", \"simple\" or \"mutual\"" },
    { "\"tls\":1", "f:2:7: config: /services/s/tls: 1 is no object, expected one" },
    { "\"tls\":{\"mod\":\"mutual\"}", "f:2:8: config: /services/s/tls/mod: unknown key, did you mean \"mode\"?" },
    { "\"tls\":{\"mode\":\"permissive\"}", "f:2:15: config: /services/s/tls/mode: \"permissive\" is unknown, expected "
                                           "\"disable\", \"simple\" or \"mutual\"" },
};

/* Services of a document whose identity has one bundle. */
static const struct row services[] = {
    { "\"tls\":{\"name\":\"a\"}", "f:2:15: config: /services/s/tls/name: needs a mode, without which connections are "
                                  "plain text; expected \"mode\": "
                                  "\"mutual\", \"simple\" or \"disable\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[]}",
      "f:2:32: config: /services/s/tls/peers: the list is empty, expected SPIFFE ids such as \"spiffe://shop/order\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":\"spiffe://shop/x\"}",
      "f:2:32: config: /services/s/tls/peers: \"spiffe://shop/x\" is no list, expected one of SPIFFE ids such as "
      "\"spiffe://shop/order\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[1,\"\",\"shop/x\",\"SPIFFE://shop/x\",\"spiffe://Shop/x\",\"spiffe://"
      "shop\",\"spiffe://shop/x/\",\"spiffe://shop/a*\",\"spiffe://pay/x\"]}",
      "f:2:33: config: /services/s/tls/peers/0: 1 is no string, expected a SPIFFE id such as \"spiffe://shop/order\"\n"
      "f:2:35: config: /services/s/tls/peers/1: \"\" is no SPIFFE id: a SPIFFE id begins with \"spiffe://\", in lower "
      "case\n"
      "f:2:38: config: /services/s/tls/peers/2: \"shop/x\" is no SPIFFE id: a SPIFFE id begins with \"spiffe://\", in "
      "lower case\n"
      "f:2:47: config: /services/s/tls/peers/3: \"SPIFFE://shop/x\" is no SPIFFE id: a SPIFFE id begins with "
      "\"spiffe://\", in lower case\n"
      "f:2:65: config: /services/s/tls/peers/4: \"spiffe://Shop/x\" is no SPIFFE id: a trust domain holds only a-z, "
      "0-9, '.', '-' and '_'\n"
      "f:2:83: config: /services/s/tls/peers/5: \"spiffe://shop\" is no SPIFFE id: no peer has a trust domain's own "
      "id: add a path, or \"/*\" for all of the trust domain\n"
      "f:2:99: config: /services/s/tls/peers/6: \"spiffe://shop/x/\" is no SPIFFE id: a SPIFFE id does not end in a "
      "slash\n"
      "f:2:118: config: /services/s/tls/peers/7: \"spiffe://shop/a*\" is no SPIFFE id: a SPIFFE id's path holds only "
      "a-z, A-Z, 0-9, '.', '-', '_' and '/'\n"
      "f:2:137: config: /services/s/tls/peers/8: identity.trust has no bundle for trust domain \"pay\", expected one "
      "out of \"shop\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"verify\":\"dns\"}",
      "f:2:33: config: /services/s/tls/verify: \"dns\" is unknown, expected \"spiffe\", \"name\" or \"none\"" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"a\",\"peers\":[\"spiffe://shop/x\"]}",
      "f:2:59: config: /services/s/tls/peers: peers is for verify \"spiffe\", but verify is \"name\", expected one or "
      "the other" },
    { "\"tls\":{\"mode\":\"simple\",\"name\":\"a\",\"trust\":\"shop\",\"peers\":[\"spiffe://shop/x\"]}",
      "f:2:31: config: /services/s/tls/name: name is for verify \"name\", but verify is \"spiffe\", expected one or "
      "the other\n"
      "f:2:43: config: /services/s/tls/trust: trust is for verify \"name\", but verify is \"spiffe\", expected one or "
      "the other" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"none\",\"name\":\"a\"}",
      "f:2:47: config: /services/s/tls/name: name is for verify \"name\", but verify is \"none\", expected one or the "
      "other" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\"}",
      "f:2:33: config: /services/s/tls/verify: verify \"name\" has no name to look for, expected \"name\" beside it" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"a:1\",\"server_name\":\"1.2.3.4\"}",
      "f:2:47: config: /services/s/tls/name: \"a:1\" is neither a DNS name nor an IP address, expected one without "
      "port or star\n"
      "f:2:67: config: /services/s/tls/server_name: \"1.2.3.4\" is an IP address, which cannot be sent as SNI, "
      "expected a DNS name" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"*.a\",\"server_name\":\"[::1]\",\"trust\":\"shpo\"}",
      "f:2:47: config: /services/s/tls/name: \"*.a\" is neither a DNS name nor an IP address, expected one without "
      "port or star\n"
      "f:2:67: config: /services/s/tls/server_name: \"[::1]\" is no DNS name, expected one without port or star\n"
      "f:2:83: config: /services/s/tls/trust: identity.trust has no \"shpo\", did you mean \"shop\"?" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":7,\"server_name\":7,\"trust\":7}",
      "f:2:47: config: /services/s/tls/name: 7 is no string, expected a DNS name or an IP address\n"
      "f:2:63: config: /services/s/tls/server_name: 7 is no string, expected a DNS name\n"
      "f:2:73: config: /services/s/tls/trust: 7 is no string, expected a name out of identity.trust" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"a\",\"trust\":\"bananas\"}",
      "f:2:59: config: /services/s/tls/trust: identity.trust has no \"bananas\", expected one out of \"shop\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\"],\"alpn\":\"h2\"}",
      "f:2:59: config: /services/s/tls/alpn: \"h2\" is no list, expected one of protocols such as \"http/1.1\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\"],\"alpn\":[\"h2\",\"istio-h2\",\"\",\"a "
      "b\",1,\"http/1.1\",\"http/1.1\"]}",
      "f:2:76: config: /services/s/tls/alpn/2: \"\" is no protocol, expected 1 to 255 visible characters, as "
      "\"http/1.1\"\n"
      "f:2:79: config: /services/s/tls/alpn/3: \"a b\" is no protocol, expected 1 to 255 visible characters, as "
      "\"http/1.1\"\n"
      "f:2:85: config: /services/s/tls/alpn/4: 1 is no string, expected a protocol such as \"http/1.1\"\n"
      "f:2:98: config: /services/s/tls/alpn/6: \"http/1.1\" is in the list twice, expected each protocol once" },
    { "\"protocol\":\"http1\",\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\"],\"alpn\":[\"h2\",\"http/"
      "1.1\"]}",
      "f:2:78: config: /services/s/tls/alpn: \"h2\" is offered, but protocol is \"http1\", expected \"auto\" or "
      "another "
      "list" },
    { "\"protocol\":\"http2\",\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\"],\"alpn\":[\"h2\",\"http/"
      "1.1\"]}",
      "f:2:78: config: /services/s/tls/alpn: \"http/1.1\" is offered, but protocol is \"http2\", expected \"auto\" or "
      "another list" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\"],\"handshake_timeout\":\"0s\",\"resume\":\"no\"}",
      "f:2:72: config: /services/s/tls/handshake_timeout: \"0s\" is out of range, expected \"1ms\" to \"24h\"\n"
      "f:2:86: config: /services/s/tls/resume: \"no\" is neither true nor false, expected one of them" },
    { "\"authorize\":{\"rules\":[{\"action\":\"deny\",\"peers\":[\"*\"]}]}",
      "f:2:13: config: /services/s/authorize: \"rule 1\" asks for the peer's id, which is known with TLS and verify "
      "\"spiffe\" only" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"none\"},\"authorize\":{\"rules\":[{\"action\":\"allow\"},{\"name\":"
      "\"prod\",\"action\":\"deny\",\"unless\":{\"namespaces\":[\"a\"]}}]}",
      "f:2:53: config: /services/s/authorize: \"prod\" asks for the peer's id, which is known with TLS and verify "
      "\"spiffe\" only" },
};

/* The same with two bundles. */
static const struct row two_bundles[] = {
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"a\"}",
      "f:2:33: config: /services/s/tls/verify: verify \"name\" has 2 bundles of identity.trust to choose from, "
      "expected \"trust\" beside it" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"a\",\"trust\":\"bananas\"}",
      "f:2:59: config: /services/s/tls/trust: identity.trust has no \"bananas\", expected one out of \"shop\", "
      "\"pay\"" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://other/x\"]}",
      "f:2:33: config: /services/s/tls/peers/0: identity.trust has no bundle for trust domain \"other\", expected one "
      "out of \"shop\", \"pay\"" },
};

/* Documents whose identity has no certificate. */
static const struct row trust_only[] = {
    { "\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"],\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/"
      "x\"]}}}",
      "f:1:95: config: /services/s/tls/mode: \"mutual\" needs a certificate, expected \"certificate\" and \"key\" in "
      "identity" },
    { "\"servers\":{\"v\":{\"listen\":\"127.0.0.1:1\",\"tls\":{\"mode\":\"simple\"}}}",
      "f:1:89: config: /servers/v/tls/mode: \"simple\" needs a certificate, expected \"certificate\" and \"key\" in "
      "identity" },
    { "\"defaults\":{\"tls\":{\"mode\":\"mutual\",\"verify\":\"name\",\"peers\":[\"spiffe://pay/"
      "x\"]}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]},\"t\":{\"discover\":{\"dns\":\"a:1\"}}}",
      "f:1:62: config: /defaults/tls/mode: \"mutual\" needs a certificate, expected \"certificate\" and \"key\" in "
      "identity\n"
      "f:1:95: config: /defaults/tls/peers: peers is for verify \"spiffe\", but verify is \"name\", expected one or "
      "the other\n"
      "f:1:96: config: /defaults/tls/peers/0: identity.trust has no bundle for trust domain \"pay\", expected one out "
      "of \"shop\"\n"
      "f:1:132: config: /services/s: verify \"name\" has no name to look for, expected \"name\" beside it" },
    { "\"defaults\":{\"tls\":{\"mode\":\"simple\",\"peers\":[\"spiffe://shop/"
      "x\"]},\"authorize\":{\"rules\":[{\"action\":\"deny\",\"peers\":[\"*/"
      "x\"]}]}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"],\"tls\":{\"mode\":\"disable\"}},\"t\":{"
      "\"discover\":{\"dns\":\"a:1\"}}}",
      "f:1:210: config: /services/s/tls: \"rule 1\" asks for the peer's id, which is known with TLS and verify "
      "\"spiffe\" only" },
};

/* A server of a document without an identity. */
static const struct row server_modes[] = {
    { "\"tls\":{\"mode\":\"permissive\"}", "f:2:15: config: /servers/v/tls/mode: \"permissive\" needs an identity, "
                                           "expected \"identity\" at the top of the document" },
};

/* Servers. */
static const struct row servers[] = {
    { "\"tls\":{\"mode\":\"strict\"}", "f:2:15: config: /servers/v/tls/mode: \"strict\" is unknown, expected "
                                       "\"disable\", \"simple\", \"mutual\" or \"permissive\"" },
    { "\"tls\":{\"mode\":\"simple\",\"peers\":[\"spiffe://shop/x\"]}",
      "f:2:32: config: /servers/v/tls/peers: with mode \"simple\" no client is asked who it is, expected \"mutual\" or "
      "no peers" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://pay/x\"],\"verify\":\"name\"}",
      "f:2:33: config: /servers/v/tls/peers/0: identity.trust has no bundle for trust domain \"pay\", expected one out "
      "of \"shop\"\n"
      "f:2:51: config: /servers/v/tls/verify: unknown key, expected one of mode, peers, alpn, handshake_timeout, "
      "resume" },
    { "\"tls\":{\"mode\":\"simple\"},\"authorize\":{\"rules\":[{\"action\":\"allow\",\"namespaces\":[\"a\"]}]}",
      "f:2:37: config: /servers/v/authorize: \"rule 1\" asks for the peer's id, which is known with TLS of mode "
      "\"mutual\" or \"permissive\" only" },
};

/* Services that are accepted. */
static const struct row warned_services[] = {
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/*\"]}", "" },
    { "\"tls\":{\"mode\":\"mutual\"}", "f:2:7: config: /services/s/tls: every id of the trusted domains is accepted as "
                                       "this service, expected \"peers\"" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"none\"}",
      "f:2:33: config: /services/s/tls/verify: anyone can pretend to be this service: the peer is not verified" },
    { "\"tls\":{\"mode\":\"disable\",\"verify\":\"none\",\"peers\":[\"spiffe://shop/x\"],\"alpn\":[]}",
      "f:1:13: config: /identity: has no effect: no service and no server does TLS\n"
      "f:2:34: config: /services/s/tls/verify: has no effect: the mode is \"disable\", so connections are plain text\n"
      "f:2:49: config: /services/s/tls/peers: has no effect: the mode is \"disable\", so connections are plain text\n"
      "f:2:76: config: /services/s/tls/alpn: has no effect: the mode is \"disable\", so connections are plain text" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/*\"],\"handshake_timeout\":\"16s\"}",
      "f:2:72: config: /services/s/tls/handshake_timeout: has no effect: the service's timeout, 15s, comes first" },
    { "\"timeout\":\"1s\",\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/*\"]}", "" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/x\",\"spiffe://shop/x\",\"spiffe://shop/x/*\"]}",
      "f:2:51: config: /services/s/tls/peers/1: \"spiffe://shop/x\" is in the list twice" },
    { "\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":\"::1\",\"alpn\":[]}", "" },
    { "\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/"
      "*\"]},\"authorize\":{\"rules\":[{\"action\":\"deny\",\"peers\":[\"spiffe://other/x\",\"spiffe://other/*\",\"*/"
      "x\"],\"trust_domains\":[\"other\"]}]}",
      "f:2:101: config: /services/s/authorize/rules/0/peers/0: has no effect: identity.trust has no bundle for trust "
      "domain \"other\"\n"
      "f:2:120: config: /services/s/authorize/rules/0/peers/1: has no effect: identity.trust has no bundle for trust "
      "domain \"other\"\n"
      "f:2:163: config: /services/s/authorize/rules/0/trust_domains/0: has no effect: identity.trust has no bundle for "
      "trust domain \"other\"" },
};

/* Servers that are accepted. */
static const struct row warned_servers[] = {
    { "\"tls\":{\"mode\":\"mutual\"}", "" },
    { "\"tls\":{\"mode\":\"disable\",\"peers\":[\"spiffe://shop/x\"],\"resume\":false}",
      "f:1:13: config: /identity: has no effect: no service and no server does TLS\n"
      "f:2:33: config: /servers/v/tls/peers: has no effect: the mode is \"disable\", so connections are plain text\n"
      "f:2:62: config: /servers/v/tls/resume: has no effect: the mode is \"disable\", so connections are plain text" },
};

/* Documents that are accepted. */
static const struct row warned_documents[] = {
    { "{\"identity\":{\"trust\":{\"a\":\"b\"},\"expiry_warning\":\"1h\"},\"tls\":{\"handshake_threads\":0},"
      "\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]}}}",
      "f:1:13: config: /identity: has no effect: no service and no server does TLS\n"
      "f:1:49: config: /identity/expiry_warning: has no effect: there is no certificate\n"
      "f:1:61: config: /tls: has no effect: no service and no server does TLS" },
    { "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"defaults\":{\"tls\":{\"mode\":"
      "\"mutual\",\"verify\":\"none\"}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]}}}",
      "f:1:108: config: /defaults/tls/verify: anyone can pretend to be this service: the peer is not verified" },
    { "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"defaults\":{\"tls\":{\"mode\":"
      "\"mutual\"}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]},\"t\":{\"endpoints\":[\"127.0.0.1:1\"],"
      "\"tls\":{\"peers\":[\"spiffe://shop/"
      "t\"]}},\"u\":{\"endpoints\":[\"127.0.0.1:1\"],\"tls\":{\"mode\":\"disable\"}}}}",
      "f:1:117: config: /services/s: every id of the trusted domains is accepted as this service, expected \"peers\"" },
    { "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"defaults\":{\"tls\":{\"peers\":"
      "[\"spiffe://shop/"
      "*\"]},\"authorize\":{\"dry_run\":true}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"],\"tls\":{\"mode\":"
      "\"mutual\"}},\"t\":{\"endpoints\":[\"127.0.0.1:1\"],\"tls\":{\"mode\":\"simple\",\"verify\":\"name\",\"name\":"
      "\"a\"}},\"u\":{\"endpoints\":[\"127.0.0.1:1\"]}}}",
      "" },
};

static const struct group {
    const char *head, *tail;
    const struct row *rows;
    size_t count;
    bool error;
} groups[] = {
    { "{", "}", identities, COUNT(identities), true },
    { NO_IDENTITY, "}}}", service_modes, COUNT(service_modes), true },
    { HEAD, "}}}", services, COUNT(services), true },
    { TWO_BUNDLES, "}}}", two_bundles, COUNT(two_bundles), true },
    { "{\"identity\":{\"trust\":{\"shop\":\"t\"}},", "}", trust_only, COUNT(trust_only), true },
    { "{\"servers\":{\"v\":{\"listen\":\"127.0.0.1:1\",\n", "}}}", server_modes, COUNT(server_modes), true },
    { SERVER, "}}}", servers, COUNT(servers), true },
    { HEAD, "}}}", warned_services, COUNT(warned_services), false },
    { SERVER, "}}}", warned_servers, COUNT(warned_servers), false },
    { "", "", warned_documents, COUNT(warned_documents), false },
};

START_TEST(exact_words)
{
    const struct group *group = &groups[_i];
    for (size_t i = 0; i < group->count; i++)
        check_row(group->head, &group->rows[i], group->tail, group->error);
}
END_TEST

static struct config *load(void)
{
    mesh_config *document;
    mesh_error *error, *warnings;
    struct config *config;
    mesh_status status = mesh_config_load(MESH_SOURCE_DIR "/tests/unit/config/samples/tls.json", &document, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    status = mesh__config_build(document, &mesh__mem_system, &config, &error, &warnings);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    ck_assert_msg(warnings == NULL, "%s", mesh_error_text(warnings));
    mesh_config_free(document); /* the config does not need it */
    return config;
}

START_TEST(identity)
{
    static const char folder[] = MESH_SOURCE_DIR "/tests/unit/config/samples/";
    char path[512];
    struct config *config = load();
    const struct identity_config *id = config->identity;
    ck_assert_ptr_nonnull(id);
    (void)snprintf(path, sizeof(path), "%s%s", folder, "svid.pem");
    ck_assert_str_eq(id->certificate, path);
    ck_assert_str_eq(id->key, "/run/svid.key");
    (void)snprintf(path, sizeof(path), "%s%s", folder, "revoked.pem");
    ck_assert_str_eq(id->crl, path);
    ck_assert_uint_eq(id->trust_count, 2);
    ck_assert_str_eq(id->trust[0].name, "shop");
    ck_assert_str_eq(id->trust[1].name, "pay.example");
    (void)snprintf(path, sizeof(path), "%s%s", folder, "pay.pem");
    ck_assert_str_eq(id->trust[1].file, path);
    ck_assert_int_eq(id->expiry_warning, 168 * 3600 * NANOS_S);
    ck_assert_uint_eq(config->handshake_threads, 0);
    mesh__config_unref(config);
}
END_TEST

static void check_peers(const struct tls_config *tls, const char *const *texts, size_t count)
{
    const struct tls_demand *demand = &tls->settings.demand;
    ck_assert_uint_eq(demand->peer_count, count);
    for (size_t i = 0; i < count; i++) {
        struct spiffe_pattern wanted;
        ck_assert_ptr_null(mesh__spiffe_parse_pattern(mesh__view_of(texts[i]), &wanted));
        ck_assert_int_eq(demand->peers[i].kind, wanted.kind);
        ck_assert(mesh__view_equal(demand->peers[i].id.text, wanted.id.text));
    }
}

static void check_alpn(const struct tls_config *tls, const char *const *texts, size_t count)
{
    ck_assert_uint_eq(tls->settings.alpn_count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(tls->settings.alpn[i], texts[i]);
}

static const char *const both[] = { "h2", "http/1.1" };

START_TEST(services_that_inherit)
{
    static const char *const all[] = { "spiffe://shop/*" };
    static const char *const own[] = { "spiffe://shop/stock", "spiffe://pay.example/ns/prod/*" };
    static const char *const istio[] = { "istio-http/1.1", "http/1.1" };
    struct config *config = load();
    const struct service_config *s = mesh__config_service(config, "inherits");
    ck_assert_int_eq(s->tls.mode, TLS_MODE_MUTUAL);
    ck_assert(s->tls.settings.with_certificate && s->tls.settings.resume);
    ck_assert_int_eq(s->tls.settings.demand.verify, TLS_VERIFY_SPIFFE);
    check_peers(&s->tls, all, 1);
    check_alpn(&s->tls, both, 2);
    ck_assert_ptr_null(s->tls.settings.demand.name);
    ck_assert_ptr_null(s->tls.settings.bundle);
    ck_assert_str_eq(s->tls.settings.server_name, "stock.internal");
    ck_assert_int_eq(s->tls.handshake_timeout, 2 * NANOS_S);
    ck_assert_str_eq(s->authority, "stock.internal"); /* 443 is the port of TLS */
    s = mesh__config_service(config, "own");
    ck_assert_int_eq(s->tls.mode, TLS_MODE_MUTUAL);
    ck_assert(s->tls.settings.with_certificate && !s->tls.settings.resume);
    check_peers(&s->tls, own, 2);
    check_alpn(&s->tls, istio, 2);
    ck_assert_str_eq(s->tls.settings.server_name, "stock.example");
    ck_assert_int_eq(s->tls.handshake_timeout, 3 * NANOS_S);
    ck_assert_str_eq(s->authority, "stock.internal:80");
    mesh__config_unref(config);
}
END_TEST

/* Peers of the defaults are none of a service that verifies by name. */
START_TEST(services_by_name)
{
    struct config *config = load();
    const struct service_config *s = mesh__config_service(config, "by-name");
    ck_assert_int_eq(s->tls.mode, TLS_MODE_SIMPLE);
    ck_assert(!s->tls.settings.with_certificate);
    ck_assert_int_eq(s->tls.settings.demand.verify, TLS_VERIFY_NAME);
    check_peers(&s->tls, NULL, 0);
    check_alpn(&s->tls, NULL, 0);
    ck_assert_str_eq(s->tls.settings.demand.name, "api.internal");
    ck_assert_str_eq(s->tls.settings.server_name, "api.internal");
    ck_assert_str_eq(s->tls.settings.bundle, "pay.example");
    s = mesh__config_service(config, "by-ip");
    ck_assert_str_eq(s->tls.settings.demand.name, "::1");
    ck_assert_ptr_null(s->tls.settings.server_name);
    ck_assert_str_eq(s->tls.settings.bundle, "shop");
    ck_assert_str_eq(s->authority, "by-ip");
    s = mesh__config_service(config, "plain");
    ck_assert_int_eq(s->tls.mode, TLS_MODE_DISABLE);
    ck_assert(!s->tls.settings.with_certificate);
    ck_assert_str_eq(s->authority, "plain.internal");
    mesh__config_unref(config);
}
END_TEST

START_TEST(servers_of_each_mode)
{
    static const char *const peers[] = { "spiffe://shop/order" }, *const istio[] = { "istio-http/1.1" };
    struct config *config = load();
    const struct tls_config *tls = &mesh__config_server(config, "strict")->tls;
    ck_assert_int_eq(tls->mode, TLS_MODE_MUTUAL);
    ck_assert(tls->settings.with_certificate && !tls->settings.resume);
    ck_assert_int_eq(tls->settings.demand.verify, TLS_VERIFY_SPIFFE);
    check_peers(tls, peers, 1);
    check_alpn(tls, istio, 1);
    ck_assert_int_eq(tls->handshake_timeout, NANOS_S);
    tls = &mesh__config_server(config, "either")->tls;
    ck_assert_int_eq(tls->mode, TLS_MODE_PERMISSIVE);
    ck_assert(tls->settings.with_certificate && tls->settings.resume);
    check_peers(tls, NULL, 0);
    check_alpn(tls, NULL, 0);
    ck_assert_int_eq(tls->handshake_timeout, 5 * NANOS_S);
    tls = &mesh__config_server(config, "public")->tls;
    ck_assert_int_eq(tls->mode, TLS_MODE_SIMPLE);
    ck_assert(!tls->settings.with_certificate);
    tls = &mesh__config_server(config, "plain")->tls;
    ck_assert_int_eq(tls->mode, TLS_MODE_DISABLE);
    ck_assert(!tls->settings.with_certificate);
    mesh__config_unref(config);
}
END_TEST

static struct config *build(const char *text)
{
    mesh_config *document;
    struct config *config;
    ck_assert_int_eq(mesh_config_parse(text, strlen(text), NULL, &document, NULL), MESH_OK);
    ck_assert_int_eq(mesh__config_build(document, &mesh__mem_system, &config, NULL, NULL), MESH_OK);
    mesh_config_free(document);
    return config;
}

START_TEST(defaults)
{
    struct config *config = build("{\"services\":{\"s\":{\"discover\":{\"dns\":\"a.b.:443\"}}}}");
    const struct service_config *s = mesh__config_service(config, "s");
    ck_assert_ptr_null(config->identity);
    ck_assert_uint_eq(config->handshake_threads, 1);
    ck_assert_int_eq(s->tls.mode, TLS_MODE_DISABLE);
    ck_assert_str_eq(s->authority, "a.b:443");
    mesh__config_unref(config);
    config = build("{\"identity\":{\"trust\":{\"a\":\"b\"}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:443\"],"
                   "\"tls\":{\"mode\":\"simple\",\"verify\":\"none\"}}}}");
    s = mesh__config_service(config, "s");
    ck_assert_ptr_null(config->identity->certificate);
    ck_assert_ptr_null(config->identity->key);
    ck_assert_ptr_null(config->identity->crl);
    ck_assert_str_eq(config->identity->trust[0].file, "b");
    ck_assert_int_eq(config->identity->expiry_warning, 24 * 3600 * NANOS_S);
    ck_assert_int_eq(s->tls.settings.demand.verify, TLS_VERIFY_NONE);
    ck_assert_ptr_null(s->tls.settings.server_name);
    check_alpn(&s->tls, both, 2);
    ck_assert(s->tls.settings.resume);
    ck_assert_int_eq(s->tls.handshake_timeout, 5 * NANOS_S);
    ck_assert_ptr_null(s->access);
    mesh__config_unref(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/tls");
    TCase *tcase = tcase_create("tls");
    tcase_add_loop_test(tcase, exact_words, 0, COUNT(groups));
    tcase_add_test(tcase, identity);
    tcase_add_test(tcase, services_that_inherit);
    tcase_add_test(tcase, services_by_name);
    tcase_add_test(tcase, servers_of_each_mode);
    tcase_add_test(tcase, defaults);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
