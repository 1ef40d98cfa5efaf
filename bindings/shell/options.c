/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - one table of options, from which the parser and --help are made. */
#include "options.h"

#include "input.h"
#include "units.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
    OPTION_CONFIG,
    OPTION_HEADER,
    OPTION_DATA,
    OPTION_GRPC,
    OPTION_TIMEOUT,
    OPTION_IDEMPOTENT,
    OPTION_NO_RETRY,
    OPTION_ENDPOINT,
    OPTION_AUTHORITY,
    OPTION_CONNECTIONS,
    OPTION_REQUESTS,
    OPTION_DURATION,
    OPTION_TRUST_DOMAIN,
    OPTION_OUT,
    OPTION_DAYS,
    OPTION_DNS,
    OPTION_NEW_AUTHORITY,
    OPTION_VERBOSE,
    OPTION_FAIL,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_COUNT
};

struct option_row {
    const char *name;
    char letter;       /* 0: none */
    int verbs;         /* enum verb_bit, or-ed */
    const char *value; /* NULL: takes none */
    const char *help;
};

#define BOTH (VERB_CALL | VERB_BENCH)
static const struct option_row rows[OPTION_COUNT] = {
    [OPTION_CONFIG] = { "config", 'c', BOTH, "FILE", "the configuration; - is standard input" },
    [OPTION_HEADER] = { "header", 'H', BOTH, "'NAME: VALUE'", "a header field; may be given more than once" },
    [OPTION_DATA] = { "data", 'd', BOTH, "BODY", "the body; @FILE reads it from a file, @- from standard input" },
    [OPTION_GRPC] = { "grpc", 0, BOTH, NULL, "a gRPC call: PATH is /package.Service/Method, BODY one message" },
    [OPTION_TIMEOUT] = { "timeout", 0, BOTH, "TIME", "how long a call may take, as 2s or 250ms" },
    [OPTION_IDEMPOTENT] = { "idempotent", 0, BOTH, NULL, "the request may be repeated, whatever its method" },
    [OPTION_NO_RETRY] = { "no-retry", 0, BOTH, NULL, "one attempt, whatever the configuration says" },
    [OPTION_ENDPOINT] = { "endpoint", 0, BOTH, "ADDRESS", "only this endpoint of the service, as 127.0.0.1:9001" },
    [OPTION_AUTHORITY] = { "authority", 0, BOTH, "HOST", "what is sent as Host" },
    [OPTION_CONNECTIONS] = { "connections", 'n', VERB_BENCH, "N", "calls in flight; 1 if not given" },
    [OPTION_REQUESTS] = { "requests", 'r', VERB_BENCH, "R", "calls in all; 10000 if neither this nor --duration" },
    [OPTION_DURATION] = { "duration", 0, VERB_BENCH, "TIME", "for how long calls are started, as 5s" },
    [OPTION_TRUST_DOMAIN] = { "trust-domain", 't', VERB_CERTS, "NAME",
                              "the trust domain, as shop: ids are spiffe://shop/SERVICE" },
    [OPTION_OUT] = { "out", 'o', VERB_CERTS, "DIR", "where the files are, or will be" },
    [OPTION_DAYS] = { "days", 0, VERB_CERTS, "N", "for how long the certificates are good; 365 if not given" },
    [OPTION_DNS] = { "dns", 0, VERB_CERTS, "NAME",
                     "a DNS name or IP address in each certificate, too; may be repeated" },
    [OPTION_NEW_AUTHORITY] = { "new-authority", 0, VERB_CERTS, NULL, "make a new authority, though DIR has one" },
    [OPTION_VERBOSE] = { "verbose", 'v', VERB_CALL, NULL, "tell on standard error what happened and why" },
    [OPTION_FAIL] = { "fail", 'f', BOTH, NULL,
                      "exit with 4 if a response has status 400 or more, or a gRPC status but OK" },
    [OPTION_JSON] = { "json", 0, VERB_CHECK | VERB_CERTS | BOTH, NULL, "one JSON object on standard output" },
    [OPTION_HELP] = { "help", 'h', VERB_CHECK | VERB_CERTS | BOTH, NULL, "this text" },
};

#define LONG_BASE 256 /* above every letter */
#define REQUESTS_DEFAULT 10000
#define CONNECTIONS_MAX 100000
#define DAYS_DEFAULT 365
#define DAYS_MAX 36500
#define REQUESTS_MAX UINT64_C(1000000000000)

static const char *verb_name(enum verb_bit verb)
{
    switch (verb) {
    case VERB_CHECK:
        return "check";
    case VERB_CALL:
        return "call";
    case VERB_BENCH:
        return "bench";
    case VERB_CERTS:
        return "certs";
    }
    return "";
}

static const char *verb_words(enum verb_bit verb)
{
    return verb == VERB_CHECK   ? "FILE [OPTION ...]"
           : verb == VERB_CERTS ? "--trust-domain NAME --out DIR SERVICE ... [OPTION ...]"
                                : "-c FILE SERVICE METHOD PATH [OPTION ...] | -c FILE --grpc SERVICE PATH [OPTION ...]";
}

static int help(enum verb_bit verb)
{
    printf("usage: mesh %s %s\n\n", verb_name(verb), verb_words(verb));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char words[40], letter[8] = "    ";
        if (!(rows[i].verbs & (int)verb))
            continue;
        if (rows[i].letter)
            (void)snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
        (void)snprintf(words, sizeof(words), "--%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("  %s%-26s %s\n", letter, words, rows[i].help);
    }
    if (verb == VERB_CHECK)
        printf("\nFILE - is standard input. Errors and warnings go to standard error, FILE:LINE:COLUMN first.\n");
    if (verb == VERB_CERTS)
        printf(
            "\nFor each SERVICE, a name as order or a path as ns/prod/sa/order: DIR/SERVICE.pem and DIR/SERVICE.key.\n"
            "Trust is in DIR/bundle.pem. The authority, DIR/ca.pem and DIR/ca.key, is made where there is none.\n");
    printf("\nExit codes: mesh --help\n");
    return finish_output(verb_name(verb), EXIT_DONE);
}

static int refuse_value(enum verb_bit verb, enum option_id id, const char *value, const char *expected)
{
    complain(verb_name(verb), "--%s \"%s\": %s was expected", rows[id].name, value, expected);
    return EXIT_USAGE;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int add_header(enum verb_bit verb, const char *text, struct options *out)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text)
        return refuse_value(verb, OPTION_HEADER, text, "a name, a colon and a value, as 'x-team: shop',");
    const char *value = colon + 1, *end = text + strlen(text);
    while (is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    out->headers[out->header_count++] = (mesh_header){ text, (size_t)(colon - text), value, (size_t)(end - value) };
    return EXIT_GO_ON;
}

static int set_data(enum verb_bit verb, const char *value, struct options *out)
{
    if (out->body_given) {
        complain(verb_name(verb), "--data is given twice; give one body");
        return EXIT_USAGE;
    }
    out->body_given = true;
    out->body = value;
    out->body_size = strlen(value);
    if (value[0] != '@')
        return EXIT_GO_ON;
    int code = input_read(verb_name(verb), value + 1, &out->body_read, &out->body_size);
    out->body = out->body_read;
    return code;
}

static int set_number(enum verb_bit verb, enum option_id id, const char *value, uint64_t most, uint64_t *out)
{
    char expected[64];
    if (units_parse_count(value, most, out))
        return EXIT_GO_ON;
    (void)snprintf(expected, sizeof(expected), "a whole number from 1 to %llu", (unsigned long long)most);
    return refuse_value(verb, id, value, expected);
}

static int set_time(enum verb_bit verb, enum option_id id, const char *value, int64_t *out)
{
    if (units_parse_duration(value, out))
        return EXIT_GO_ON;
    return refuse_value(verb, id, value, "a number and ns, us, ms, s, m or h, more than 0 and at most 24h,");
}

static int set(enum verb_bit verb, enum option_id id, const char *value, struct options *out)
{
    switch (id) {
    case OPTION_CONFIG:
        out->config = value;
        break;
    case OPTION_HEADER:
        return add_header(verb, value, out);
    case OPTION_DATA:
        return set_data(verb, value, out);
    case OPTION_TIMEOUT:
        return set_time(verb, id, value, &out->timeout_ns);
    case OPTION_DURATION:
        return set_time(verb, id, value, &out->duration_ns);
    case OPTION_CONNECTIONS:
        return set_number(verb, id, value, CONNECTIONS_MAX, &out->connections);
    case OPTION_REQUESTS:
        return set_number(verb, id, value, REQUESTS_MAX, &out->requests);
    case OPTION_ENDPOINT:
        out->endpoint = value;
        break;
    case OPTION_AUTHORITY:
        out->authority = value;
        break;
    case OPTION_TRUST_DOMAIN:
        out->trust_domain = value;
        break;
    case OPTION_OUT:
        out->out = value;
        break;
    case OPTION_DAYS:
        return set_number(verb, id, value, DAYS_MAX, &out->days);
    case OPTION_DNS:
        out->names[out->name_count++] = value;
        break;
    case OPTION_NEW_AUTHORITY:
        out->new_authority = true;
        break;
    case OPTION_GRPC:
        out->grpc = true;
        break;
    case OPTION_IDEMPOTENT:
        out->idempotent = true;
        break;
    case OPTION_NO_RETRY:
        out->no_retry = true;
        break;
    case OPTION_VERBOSE:
        out->verbose = true;
        break;
    case OPTION_FAIL:
        out->fail = true;
        break;
    case OPTION_JSON:
        out->json = true;
        break;
    case OPTION_HELP:
    case OPTION_COUNT:
        return help(verb);
    }
    return EXIT_GO_ON;
}

/* What getopt_long() does not know, or knows with another number of values. */
static int refuse_option(enum verb_bit verb, const char *word)
{
    const char *names[OPTION_COUNT];
    size_t count = 0;
    if (optopt >= LONG_BASE) {
        complain(verb_name(verb), "--%s takes no value; give it alone", rows[optopt - LONG_BASE].name);
        return EXIT_USAGE;
    }
    if (optopt != 0) {
        complain(verb_name(verb), "there is no option -%c; mesh %s --help lists all", optopt, verb_name(verb));
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (rows[i].verbs & (int)verb)
            names[count++] = rows[i].name;
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *nearest = nearest_word(name, names, count);
    if (nearest)
        complain(verb_name(verb), "there is no option --%s, did you mean --%s?", name, nearest);
    else
        complain(verb_name(verb), "there is no option --%s; mesh %s --help lists all", name, verb_name(verb));
    return EXIT_USAGE;
}

static int refuse_missing(enum verb_bit verb, int found)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (found == LONG_BASE + (int)i || found == rows[i].letter)
            complain(verb_name(verb), "--%s needs a value: --%s %s", rows[i].name, rows[i].name, rows[i].value);
    return EXIT_USAGE;
}

/* Makes of the table what getopt_long() takes. The first letter makes it tell a missing value from an unknown option.
 */
static void make_tables(enum verb_bit verb, char letters[2 * OPTION_COUNT + 2], struct option words[OPTION_COUNT + 1])
{
    size_t at = 0, count = 0;
    letters[at++] = ':';
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (!(rows[i].verbs & (int)verb))
            continue;
        int takes = rows[i].value ? required_argument : no_argument;
        words[count++] = (struct option){ rows[i].name, takes, NULL, LONG_BASE + i };
        if (rows[i].letter)
            letters[at++] = rows[i].letter;
        if (rows[i].letter && takes == required_argument)
            letters[at++] = ':';
    }
    letters[at] = '\0';
    words[count] = (struct option){ 0 };
}

static int take_options(enum verb_bit verb, int argc, char **argv, struct options *out)
{
    char letters[2 * OPTION_COUNT + 2];
    struct option words[OPTION_COUNT + 1];
    make_tables(verb, letters, words);
    opterr = 0;
    for (int found, code; (found = getopt_long(argc, argv, letters, words, NULL)) != -1;) {
        if (found == '?')
            return refuse_option(verb, argv[optind - 1]);
        if (found == ':')
            return refuse_missing(verb, optopt);
        for (int i = 0; found < LONG_BASE && i < OPTION_COUNT; i++)
            if (rows[i].letter == found)
                found = LONG_BASE + i;
        if ((code = set(verb, (enum option_id)(found - LONG_BASE), optarg, out)) != EXIT_GO_ON)
            return code;
    }
    return EXIT_GO_ON;
}

static int take_services(int count, char **words, struct options *out)
{
    const char *missing = out->trust_domain == NULL                 ? "trust domain; name it by --trust-domain"
                          : out->out == NULL || out->out[0] == '\0' ? "place for the files; name it by --out"
                          : count == 0                              ? "service; name at least one"
                                                                    : NULL;
    if (missing) {
        complain("certs", "there is no %s: mesh certs %s", missing, verb_words(VERB_CERTS));
        return EXIT_USAGE;
    }
    out->services = words;
    out->service_count = (size_t)count;
    return EXIT_GO_ON;
}

static int take_operands(enum verb_bit verb, int count, char **words, struct options *out)
{
    if (verb == VERB_CHECK) {
        if (count != 1) {
            complain("check", "one configuration was expected, %d were given: mesh check FILE", count);
            return EXIT_USAGE;
        }
        out->config = words[0];
        return EXIT_GO_ON;
    }
    if (verb == VERB_CERTS)
        return take_services(count, words, out);
    if (count != (out->grpc ? 2 : 3)) {
        complain(verb_name(verb), "a service%s and a path were expected, %d words were given: mesh %s -c FILE %s",
                 out->grpc ? "" : ", a method", count, verb_name(verb),
                 out->grpc ? "--grpc SERVICE /package.Service/Method" : "SERVICE METHOD PATH");
        return EXIT_USAGE;
    }
    if (out->config == NULL) {
        complain(verb_name(verb), "there is no configuration; name it by -c FILE");
        return EXIT_USAGE;
    }
    if (strcmp(out->config, "-") == 0 && input_was_taken()) {
        complain(verb_name(verb), "configuration and body cannot both come from standard input; name a file for one");
        return EXIT_USAGE;
    }
    out->service = words[0];
    out->method = out->grpc ? NULL : words[1];
    out->path = words[count - 1];
    return EXIT_GO_ON;
}

int options_parse(enum verb_bit verb, int argc, char **argv, struct options *out)
{
    *out = (struct options){ .connections = 1, .body = "", .days = DAYS_DEFAULT };
    out->headers = calloc((size_t)argc + 1, sizeof(*out->headers));
    out->names = calloc((size_t)argc + 1, sizeof(*out->names));
    if (out->headers == NULL || out->names == NULL) {
        complain(verb_name(verb), "memory ran out; free some and try again");
        return EXIT_LOCAL;
    }
    int code = take_options(verb, argc, argv, out);
    if (code == EXIT_GO_ON)
        code = take_operands(verb, argc - optind, argv + optind, out);
    if (out->requests == 0)
        out->requests = out->duration_ns > 0 ? REQUESTS_MAX : REQUESTS_DEFAULT;
    return code;
}

void options_free(struct options *options)
{
    free(options->headers);
    free(options->names);
    free(options->body_read);
}
