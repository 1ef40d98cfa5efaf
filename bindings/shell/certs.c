/* SPDX-License-Identifier: Apache-2.0 */
/* certs.c - `mesh certs`: an authority and X509-SVIDs for development, as files.
 *
 * Trust is written first, then for each service its key, then its certificate, each by a rename. Who reads between the
 * two renames sees a key that is not the certificate's, and keeps what it had; after the second both fit. */
#include "files.h"
#include "input.h"
#include "issue.h"
#include "json_out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VERB "certs"
#define DAY 86400
#define AUTHORITY_DAYS 3650
#define TRUST_ARRIVES_S 1
#define DOMAIN_MAX 255
#define ID_MAX 2048
#define DNS_MAX 253
#define SCHEME "spiffe://"

/* What all certificates of one run have in common. */
struct run {
    const struct options *options;
    char *domain_id; /* "spiffe://shop" */
    const char **dns, **ips;
    size_t dns_count, ip_count;
    struct issued authority;
    char *former; /* the certificate of the authority that was replaced; NULL: none */
    int64_t until;
    bool made; /* the authority is new */
};

/* ---- names ---- */

static bool is_domain(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= DOMAIN_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == size;
}

/* Segments of letters, digits, dots, hyphens and underscores, neither "." nor "..". */
static bool is_path(const char *text)
{
    for (;; text++) {
        size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
        if (size == 0 || (size <= 2 && strncmp(text, "..", size) == 0))
            return false;
        text += size;
        if (*text != '/')
            return *text == '\0';
    }
}

static bool is_dns_name(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= DNS_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*") == size;
}

static int check_service(const struct options *options, size_t at)
{
    const char *name = options->services[at];
    if (!is_path(name) || strlen(SCHEME) + strlen(options->trust_domain) + 1 + strlen(name) > ID_MAX) {
        complain(VERB,
                 "\"%s\" is no service: letters, digits, dots, hyphens and underscores were expected, as order or "
                 "ns/prod/sa/order",
                 name);
        return EXIT_USAGE;
    }
    if (strcmp(name, "ca") == 0 || strcmp(name, "bundle") == 0) {
        complain(VERB, "a service called \"%s\" has no room beside %s.pem; name it otherwise, as %s/main", name, name,
                 name);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < at; i++)
        if (strcmp(name, options->services[i]) == 0) {
            complain(VERB, "\"%s\" is given twice; name each service once", name);
            return EXIT_USAGE;
        }
    return EXIT_GO_ON;
}

static int check_names(struct run *run)
{
    const struct options *options = run->options;
    if (!is_domain(options->trust_domain)) {
        complain(VERB, "--trust-domain \"%s\": small letters, digits, dots, hyphens and underscores were expected",
                 options->trust_domain);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < options->name_count; i++) {
        const char *name = options->names[i];
        struct in6_addr address;
        if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1) {
            run->ips[run->ip_count++] = name;
        } else if (is_dns_name(name)) {
            run->dns[run->dns_count++] = name;
        } else {
            complain(VERB, "--dns \"%s\": a DNS name or an IP address was expected", name);
            return EXIT_USAGE;
        }
    }
    int code = EXIT_GO_ON;
    for (size_t i = 0; i < options->service_count && code == EXIT_GO_ON; i++)
        code = check_service(options, i);
    return code;
}

/* ---- the authority ---- */

static const char *time_text(int64_t unix_seconds, char text[32])
{
    time_t seconds = (time_t)unix_seconds;
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
    return text;
}

static int no_memory(void)
{
    complain(VERB, "memory ran out; free some and try again");
    return EXIT_LOCAL;
}

static int read_authority(struct run *run, const char *certificate, const char *key)
{
    const char *problem;
    int code = files_read(VERB, certificate, &run->authority.certificate);
    if (code == EXIT_GO_ON)
        code = files_read(VERB, key, &run->authority.key);
    if (code != EXIT_GO_ON)
        return code;
    bool good = issue_check_authority(&run->authority, run->domain_id, &run->until, &problem);
    if (good && run->until <= (int64_t)time(NULL))
        problem = "it has expired";
    else if (good)
        return EXIT_GO_ON;
    complain(VERB, "the authority in %s cannot be used: %s; --new-authority makes another", certificate, problem);
    return EXIT_REFUSED;
}

static int make_authority(struct run *run)
{
    char common_name[96], made[32];
    const char *problem, *const uris[] = { run->domain_id };
    uint64_t days = run->options->days > AUTHORITY_DAYS ? run->options->days : AUTHORITY_DAYS;
    (void)snprintf(
        common_name, sizeof(common_name), "%.40s %s", run->options->trust_domain,
        time_text((int64_t)time(NULL), made)); /* so that an authority and the one before it are told apart */
    struct issue_request request = issue_authority(common_name, (int64_t)days * DAY);
    request.uris = uris;
    request.uri_count = 1;
    run->until = request.not_after;
    run->made = true;
    if (issue_certificate(&request, NULL, &run->authority, &problem))
        return EXIT_GO_ON;
    complain(VERB, "the authority could not be made: %s", problem);
    return EXIT_LOCAL;
}

/* Running programs take a moment to read whom to trust. Until all of them have, nobody should show a certificate of the
 * new authority: they read at different times, and who reads last would refuse it. */
static void let_trust_arrive(void)
{
    struct timespec rest = { .tv_sec = TRUST_ARRIVES_S };
    (void)fflush(stdout);
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
}

/* Writes the authority if it is new, and whom to trust: it, and the one that it replaces. */
static int write_authority(const struct run *run, const char *certificate, const char *key, const char *bundle)
{
    char *trust = NULL;
    int code = EXIT_GO_ON;
    if (asprintf(&trust, "%s%s", run->authority.certificate, run->former ? run->former : "") < 0)
        return no_memory();
    code = files_write(VERB, bundle, trust, FILES_PUBLIC);
    free(trust);
    if (code == EXIT_GO_ON && run->made)
        code = files_write(VERB, key, run->authority.key, FILES_SECRET);
    if (code == EXIT_GO_ON && run->made)
        code = files_write(VERB, certificate, run->authority.certificate, FILES_PUBLIC);
    if (code == EXIT_GO_ON && run->former)
        let_trust_arrive();
    return code;
}

/* Keeps the certificate of the authority that is there, if that one is good: peers may still show what it signed. */
static void keep_former(struct run *run, const char *certificate, const char *key)
{
    struct issued old = { 0 };
    const char *problem;
    int64_t until;
    if (files_read(VERB, certificate, &old.certificate) == EXIT_GO_ON &&
        files_read(VERB, key, &old.key) == EXIT_GO_ON &&
        issue_check_authority(&old, run->domain_id, &until, &problem) && until > (int64_t)time(NULL)) {
        run->former = old.certificate;
        old.certificate = NULL;
    }
    issued_free(&old);
}

static int choose_authority(struct run *run, const char *certificate, const char *key)
{
    bool has_certificate = files_exists(certificate), has_key = files_exists(key);
    if (run->options->new_authority && has_certificate && has_key)
        keep_former(run, certificate, key);
    if (run->options->new_authority)
        return make_authority(run);
    if (!has_certificate && !has_key)
        return make_authority(run);
    if (has_certificate && has_key)
        return read_authority(run, certificate, key);
    complain(VERB, "there is %s, but no %s; bring it back, or make another authority by --new-authority",
             has_key ? key : certificate, has_key ? certificate : key);
    return EXIT_REFUSED;
}

/* ---- services ---- */

/* DIR/NAME.ending; NULL: no memory. */
static char *path_of(const struct run *run, const char *name, const char *ending)
{
    char *path;
    const char *folder = run->options->out;
    size_t size = strlen(folder);
    return asprintf(&path, "%s%s%s.%s", folder, folder[size - 1] == '/' ? "" : "/", name, ending) < 0 ? NULL : path;
}

/* Makes the certificate of one service; `*until` is when it runs out, never after its authority. */
static int issue_service(const struct run *run, const char *id, struct issued *out, int64_t *until)
{
    const char *problem;
    struct issue_request request = issue_svid(&id, (int64_t)run->options->days * DAY);
    request.dns = run->dns;
    request.dns_count = run->dns_count;
    request.ips = run->ips;
    request.ip_count = run->ip_count;
    if (request.not_after > run->until)
        request.not_after = run->until;
    *until = request.not_after;
    if (issue_certificate(&request, &run->authority, out, &problem))
        return EXIT_GO_ON;
    complain(VERB, "the certificate of %s could not be made: %s", id, problem);
    return EXIT_LOCAL;
}

static void tell_service(struct json_out *json, const char *name, const char *id, const char *certificate,
                         const char *key, int64_t until)
{
    char text[32];
    if (json == NULL) {
        printf("%s, %s: %s, until %s\n", certificate, key, id, time_text(until, text));
        return;
    }
    json_open(json, NULL, '{');
    json_string(json, "service", name);
    json_string(json, "id", id);
    json_string(json, "certificate", certificate);
    json_string(json, "key", key);
    json_string(json, "not_after", time_text(until, text));
    json_close(json, '}');
}

/* Makes, writes and tells one service's certificate. */
static int serve(const struct run *run, const char *name, struct json_out *json)
{
    char *id = NULL, *certificate = path_of(run, name, "pem"), *key = path_of(run, name, "key");
    struct issued issued = { 0 };
    int64_t until;
    bool room = certificate && key && asprintf(&id, "%s/%s", run->domain_id, name) >= 0;
    int code = room ? EXIT_GO_ON : no_memory();
    if (code == EXIT_GO_ON)
        code = issue_service(run, id, &issued, &until);
    if (code == EXIT_GO_ON)
        code = files_make_folders(VERB, key);
    if (code == EXIT_GO_ON)
        code = files_write(VERB, key, issued.key, FILES_SECRET);
    if (code == EXIT_GO_ON)
        code = files_write(VERB, certificate, issued.certificate, FILES_PUBLIC);
    if (code == EXIT_GO_ON)
        tell_service(json, name, id, certificate, key, until);
    issued_free(&issued);
    free(key);
    free(certificate);
    free(id);
    return code;
}

/* ---- what is printed ---- */

static void tell_authority(const struct run *run, const char *certificate, const char *key, const char *bundle,
                           struct json_out *json)
{
    char text[32];
    time_text(run->until, text);
    if (json == NULL) {
        printf("%s, %s: authority of %s, %s, until %s\n", certificate, key, run->domain_id,
               run->made ? "new" : "as it was", text);
        printf("%s: what to trust: the authority%s\n", bundle, run->former ? " and the one before it" : "");
        return;
    }
    json_string(json, "trust_domain", run->options->trust_domain);
    json_open(json, "authority", '{');
    json_string(json, "certificate", certificate);
    json_string(json, "key", key);
    json_boolean(json, "made", run->made);
    json_string(json, "not_after", text);
    json_close(json, '}');
    json_string(json, "bundle", bundle);
}

/* The parts of a configuration, each a line that can be pasted: paths are whole. */
static void tell_configuration(const struct run *run, const char *certificate, const char *key, const char *bundle)
{
    const struct options *options = run->options;
    const char *self = options->services[0], *other = options->services[options->service_count - 1];
    char *paths[3] = { realpath(certificate, NULL), realpath(key, NULL), realpath(bundle, NULL) }, *peer = NULL;
    struct json_out json = { stdout, false };
    if (paths[0] && paths[1] && paths[2] && asprintf(&peer, "%s/%s", run->domain_id, other) >= 0) {
        printf("\nThe configuration of %s has\n  ", self);
        json_open(&json, "identity", '{');
        json_string(&json, "certificate", paths[0]);
        json_string(&json, "key", paths[1]);
        json_open(&json, "trust", '{');
        json_string(&json, options->trust_domain, paths[2]);
        json_close(&json, '}');
        json_close(&json, '}');
        printf("\nand, in a service that it calls, as %s,\n  ", other);
        json = (struct json_out){ stdout, false };
        json_open(&json, "tls", '{');
        json_string(&json, "mode", "mutual");
        json_open(&json, "peers", '[');
        json_string(&json, NULL, peer);
        json_close(&json, ']');
        json_close(&json, '}');
        printf("\nand, in a server that it runs,\n  \"tls\": {\"mode\": \"mutual\"}\n");
        free(peer);
    }
    for (size_t i = 0; i < 3; i++)
        free(paths[i]);
}

/* ---- the verb ---- */

static int make_all(struct run *run, const char *certificate, const char *key, const char *bundle)
{
    struct json_out object = { stdout, false }, *json = run->options->json ? &object : NULL;
    int code = choose_authority(run, certificate, key);
    if (code == EXIT_GO_ON)
        code = files_make_folders(VERB, certificate);
    if (code == EXIT_GO_ON)
        code = write_authority(run, certificate, key, bundle);
    if (code != EXIT_GO_ON)
        return code;
    if (json)
        json_open(json, NULL, '{');
    tell_authority(run, certificate, key, bundle, json);
    if (json)
        json_open(json, "services", '[');
    for (size_t i = 0; i < run->options->service_count && code == EXIT_GO_ON; i++)
        code = serve(run, run->options->services[i], json);
    if (json) {
        json_close(json, ']');
        json_close(json, '}');
        printf("\n");
    }
    return code;
}

static int make_certificates(struct run *run)
{
    const struct options *options = run->options;
    char *certificate = path_of(run, "ca", "pem"), *key = path_of(run, "ca", "key"),
         *bundle = path_of(run, "bundle", "pem"), *own = path_of(run, options->services[0], "pem"),
         *own_key = path_of(run, options->services[0], "key");
    bool room = certificate && key && bundle && own && own_key &&
                asprintf(&run->domain_id, SCHEME "%s", options->trust_domain) >= 0;
    int code = room ? make_all(run, certificate, key, bundle) : no_memory();
    if (code == EXIT_GO_ON && !options->json)
        tell_configuration(run, own, own_key, bundle);
    free(own_key);
    free(own);
    free(bundle);
    free(key);
    free(certificate);
    return code;
}

int run_certs(int argc, char **argv)
{
    struct options options;
    struct run run = { .options = &options };
    int code = options_parse(VERB_CERTS, argc, argv, &options);
    if (code == EXIT_GO_ON) {
        run.dns = calloc(options.name_count + 1, sizeof(*run.dns));
        run.ips = calloc(options.name_count + 1, sizeof(*run.ips));
        code = run.dns && run.ips ? check_names(&run) : no_memory();
    }
    if (code == EXIT_GO_ON)
        code = make_certificates(&run);
    if (code == EXIT_GO_ON)
        code = finish_output(VERB, EXIT_DONE);
    issued_free(&run.authority);
    free(run.former);
    free(run.domain_id);
    free(run.dns);
    free(run.ips);
    options_free(&options);
    return code;
}
