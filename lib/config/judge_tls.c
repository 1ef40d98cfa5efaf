/* SPDX-License-Identifier: Apache-2.0 */
/* judge_tls.c - do the values about TLS, the identity and the rules agree with each other? */
#include "config/judge.h"

#include <cjson/cJSON.h>

/* Keys without TLS: where the mode was chosen they are only pointless; where nobody chose, encryption was meant. */
static void judge_disabled(struct loader *loader, const struct cJSON *const *source, enum object_id object,
                           const struct cJSON *mode)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (mesh__fields[i].object != object || source[i] == NULL || source[i] == mode)
            continue;
        if (mode)
            LOAD_WARNING(loader, source[i], "has no effect: the mode is \"disable\", so connections are plain text");
        else
            LOAD_ERROR(loader, source[i],
                       "needs a mode, without which connections are plain text; expected \"mode\": "
                       "\"mutual\", \"simple\" or \"disable\"");
    }
}

/* Is there what the mode needs? Judged where the mode is set. */
static void judge_mode(struct loader *loader, const struct cJSON *mode, bool needs_certificate)
{
    if (loader->identity == NULL)
        LOAD_ERROR(loader, mode, "%s needs an identity, expected \"identity\" at the top of the document",
                   QUOTE(loader, mode));
    else if (needs_certificate && loader->identity->certificate == NULL)
        LOAD_ERROR(loader, mode, "%s needs a certificate, expected \"certificate\" and \"key\" in identity",
                   QUOTE(loader, mode));
}

/* An error for a key that another way of verifying would look at. */
static void judge_key(struct loader *loader, const struct draft *draft, enum field_id id, enum tls_verify goes_with)
{
    enum tls_verify verify = draft->service.tls.settings.demand.verify;
    if (draft->source[id] != NULL && verify != goes_with)
        LOAD_ERROR(loader, draft->source[id],
                   "%s is for verify \"%s\", but verify is \"%s\", expected one or the other", mesh__fields[id].key,
                   mesh__word_of(mesh__words_verify, goes_with), mesh__word_of(mesh__words_verify, verify));
}

/* The name of the first rule that asks who the peer is; NULL when none does. */
static const char *asks_for_peer(const struct access_policy *policy)
{
    for (size_t i = 0; policy != NULL && i < policy->rule_count; i++) {
        const struct access_match *both[] = { &policy->rules[i].when, &policy->rules[i].unless };
        for (size_t k = 0; k < 2; k++)
            if (both[k]->peers.count + both[k]->trust_domains.count + both[k]->namespaces.count > 0)
                return policy->rules[i].name;
    }
    return NULL;
}

/* The innermost value of the service that the mode or the rules depend on. */
static const struct cJSON *where(const struct draft *draft, enum field_id id)
{
    const struct cJSON *inner = draft->source[id], *tls = draft->source[F_SERVICE_tls];
    return inner ? inner : tls ? tls : draft->value;
}

/* What a service must have at the end, wherever it comes from. */
static void judge_complete(struct loader *loader, const struct draft *draft)
{
    const struct tls_settings *settings = &draft->service.tls.settings;
    const struct tls_demand *demand = &settings->demand;
    bool by_name = demand->verify == TLS_VERIFY_NAME;
    const struct cJSON *verify = where(draft, F_SERVICE_TLS_verify);
    if (by_name && demand->name == NULL && draft->source[F_SERVICE_TLS_name] == NULL)
        LOAD_ERROR(loader, verify, "verify \"name\" has no name to look for, expected \"name\" beside it");
    if (by_name && settings->bundle == NULL && loader->identity != NULL && loader->identity->trust_count > 1 &&
        draft->source[F_SERVICE_TLS_trust] == NULL)
        LOAD_ERROR(loader, verify,
                   "verify \"name\" has %u bundles of identity.trust to choose from, expected \"trust\" beside it",
                   (unsigned)loader->identity->trust_count);
    if (demand->verify == TLS_VERIFY_SPIFFE && demand->peer_count == 0 && draft->source[F_SERVICE_TLS_peers] == NULL)
        LOAD_WARNING(loader, where(draft, F_SERVICE_tls),
                     "every id of the trusted domains is accepted as this service, expected \"peers\"");
}

/* What is offered must be what may be spoken. */
static void judge_alpn(struct loader *loader, const struct draft *draft)
{
    static const char *const names[][2] = { { "http/1.1", "istio-http/1.1" }, { "h2", "istio-h2" } };
    const struct service_config *service = &draft->service;
    const struct tls_settings *settings = &service->tls.settings;
    if (service->protocol == PROTOCOL_AUTO || draft->source[F_SERVICE_TLS_alpn] == NULL)
        return;
    const char *const *others = names[service->protocol == PROTOCOL_HTTP1];
    for (size_t i = 0; i < settings->alpn_count; i++)
        if (strcmp(settings->alpn[i], others[0]) == 0 || strcmp(settings->alpn[i], others[1]) == 0)
            LOAD_ERROR(loader, draft->source[F_SERVICE_TLS_alpn],
                       "\"%s\" is offered, but protocol is \"%s\", expected \"auto\" or another list",
                       settings->alpn[i], mesh__word_of(mesh__words_protocol, service->protocol));
}

static void judge_peer_rules(struct loader *loader, const struct draft *draft)
{
    const struct tls_config *tls = &draft->service.tls;
    const char *rule = asks_for_peer(draft->service.access);
    bool known = tls->mode != TLS_MODE_DISABLE && tls->settings.demand.verify == TLS_VERIFY_SPIFFE;
    if (rule != NULL && !known)
        LOAD_ERROR(loader, where(draft, F_SERVICE_authorize),
                   "\"%s\" asks for the peer's id, which is known with TLS and verify \"spiffe\" only", rule);
}

void mesh__judge_service_tls(struct loader *loader, const struct draft *draft, bool is_defaults)
{
    const struct tls_config *tls = &draft->service.tls;
    const struct cJSON *mode = draft->source[F_SERVICE_TLS_mode], *verify = draft->source[F_SERVICE_TLS_verify];
    if (!is_defaults)
        judge_peer_rules(loader, draft);
    if (!is_defaults && tls->mode == TLS_MODE_DISABLE) {
        judge_disabled(loader, draft->source, OBJECT_SERVICE_TLS, mode);
        return;
    }
    if (mode != NULL && tls->mode != TLS_MODE_DISABLE)
        judge_mode(loader, mode, tls->mode == TLS_MODE_MUTUAL);
    judge_key(loader, draft, F_SERVICE_TLS_peers, TLS_VERIFY_SPIFFE);
    judge_key(loader, draft, F_SERVICE_TLS_name, TLS_VERIFY_NAME);
    judge_key(loader, draft, F_SERVICE_TLS_trust, TLS_VERIFY_NAME);
    if (verify != NULL && tls->settings.demand.verify == TLS_VERIFY_NONE)
        LOAD_WARNING(loader, verify, "anyone can pretend to be this service: the peer is not verified");
    if (!is_defaults)
        judge_complete(loader, draft);
    if (!is_defaults)
        judge_alpn(loader, draft);
}

void mesh__judge_server(struct loader *loader, const struct server_config *server, const struct cJSON *const *source)
{
    const struct tls_config *tls = &server->tls;
    const struct cJSON *peers = source[F_SERVER_TLS_peers], *authorize = source[F_SERVER_authorize];
    bool asks = tls->mode == TLS_MODE_MUTUAL || tls->mode == TLS_MODE_PERMISSIVE;
    const char *rule = asks_for_peer(server->access);
    if (tls->mode == TLS_MODE_DISABLE)
        judge_disabled(loader, source, OBJECT_SERVER_TLS, source[F_SERVER_TLS_mode]);
    else
        judge_mode(loader, source[F_SERVER_TLS_mode], true);
    if (tls->mode == TLS_MODE_SIMPLE && peers != NULL)
        LOAD_ERROR(loader, peers, "with mode \"simple\" no client is asked who it is, expected \"mutual\" or no peers");
    if (rule != NULL && !asks)
        LOAD_ERROR(loader, authorize,
                   "\"%s\" asks for the peer's id, which is known with TLS of mode \"mutual\" or \"permissive\" only",
                   rule);
}

void mesh__judge_identity(struct loader *loader, const struct cJSON *value, const struct identity_config *identity)
{
    const struct cJSON *warning = cJSON_GetObjectItemCaseSensitive(value, mesh__fields[F_IDENTITY_expiry_warning].key);
    const struct cJSON *certificate = cJSON_GetObjectItemCaseSensitive(value, mesh__fields[F_IDENTITY_certificate].key);
    const struct cJSON *key = cJSON_GetObjectItemCaseSensitive(value, mesh__fields[F_IDENTITY_key].key);
    if (certificate != NULL && key == NULL)
        LOAD_ERROR(loader, certificate, "the certificate has no key, expected \"key\" beside it");
    else if (certificate == NULL && key != NULL)
        LOAD_ERROR(loader, key, "the key has no certificate, expected \"certificate\" beside it");
    else if (certificate == NULL && warning != NULL && identity->trust_count > 0)
        LOAD_WARNING(loader, warning, "has no effect: there is no certificate");
}

static bool does_tls(const struct config *config)
{
    for (uint32_t i = 0; i < config->service_count; i++)
        if (config->services[i].tls.mode != TLS_MODE_DISABLE)
            return true;
    for (uint32_t i = 0; i < config->server_count; i++)
        if (config->servers[i].tls.mode != TLS_MODE_DISABLE)
            return true;
    return false;
}

void mesh__judge_use(struct loader *loader, const struct config *config)
{
    static const enum field_id fields[] = { F_TOP_identity, F_TOP_tls };
    if (does_tls(config))
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct cJSON *value =
            cJSON_GetObjectItemCaseSensitive(loader->document->root, mesh__fields[fields[i]].key);
        if (value != NULL)
            LOAD_WARNING(loader, value, "has no effect: no service and no server does TLS");
    }
}
