/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - `mesh VERB ...`: finds the verb, or says what there is. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
    { "check", run_check }, { "call", run_call }, { "bench", run_bench }, { "certs", run_certs }
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const char usage[] = "usage: mesh check FILE\n"
                            "       mesh call -c FILE SERVICE METHOD PATH [OPTION ...]\n"
                            "       mesh bench -c FILE SERVICE METHOD PATH [OPTION ...]\n"
                            "       mesh certs --trust-domain NAME --out DIR SERVICE ... [OPTION ...]\n"
                            "       mesh VERB --help | --help | --version\n";

static int help(void)
{
    printf("mesh - judges configurations, calls services and measures calls, as a program with libmeshcall does;\n"
           "       and makes certificates for development\n\n"
           "%s\n"
           "check   every error of a configuration, and warnings for what is accepted but pointless\n"
           "call    one call; the response's body goes to standard output, -v tells what happened\n"
           "bench   a closed loop with N calls in flight: rate, latency, errors and CPU time per request\n"
           "certs   an authority and certificates with SPIFFE ids, for development\n\n"
           "Exit codes:\n",
           usage);
#define EXIT_CODE_LINE(name, code, meaning) printf("%5d   %s\n", code, meaning);
    EXIT_CODE_MAP(EXIT_CODE_LINE)
#undef EXIT_CODE_LINE
    return finish_output(NULL, EXIT_DONE);
}

static int version(void)
{
    printf("mesh %s (ABI %d)\n", mesh_version(), (int)mesh_abi_version());
    return finish_output(NULL, EXIT_DONE);
}

static int unknown(const char *word)
{
    const char *names[VERBS];
    for (size_t i = 0; i < VERBS; i++)
        names[i] = verbs[i].name;
    const char *nearest = nearest_word(word, names, VERBS);
    const char *kind = word[0] == '-' ? "option" : "verb";
    if (nearest)
        complain(NULL, "there is no %s \"%s\", did you mean \"%s\"?", kind, word, nearest);
    else
        complain(NULL, "there is no %s \"%s\"; mesh --help tells what there is", kind, word);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(word, verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help();
    if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0)
        return version();
    return unknown(word);
}
