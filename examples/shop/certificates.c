/* SPDX-License-Identifier: Apache-2.0 */
/* certificates.c - the shop's certificates: made by `mesh certs`, and replaced while orders are under way.
 *
 * Each generation has a DNS name of its own beside the SPIFFE id, "generation-1.shop" and so on. The shop does not look
 * at it. It is there so that anybody who connects can tell which certificate is shown: a client that demands the name
 * is answered only by a server that has taken that generation. */
#include "driver.h"

#include <string.h>

#define SHOWN_AT_MOST (4 * SECONDS)
#define LOOK_EVERY (100 * MS)
#define SETTLED (500 * MS)

static int make(struct round *round, const char *folder, const char *option, const char *const *programs)
{
    char out[SHOP_PATH], log[SHOP_PATH], dns_name[64];
    char *words[24] = { "mesh", "certs", "--trust-domain", "shop", "--out", out, "--dns", dns_name };
    size_t count = 8;
    (void)snprintf(out, sizeof(out), "%s/%s", round->folder, folder);
    (void)snprintf(log, sizeof(log), "%s/certs.log", round->folder);
    (void)snprintf(dns_name, sizeof(dns_name), "generation-%d.shop", round->generation);
    if (option)
        words[count++] = (char *)option;
    for (; *programs; programs++)
        words[count++] = (char *)*programs;
    return process_run_mesh(log, words);
}

static const char *const programs[] = { "order", "inventory", "payment", "shipping", "frontdoor", NULL };

/* The shop's, an intruder's by the same authority, and one for spiffe://shop/order by an authority of its own. */
int certificates_prepare(struct round *round)
{
    static const char *const intruder[] = { "intruder", NULL }, *const stranger[] = { "order", NULL };
    round->generation = 1;
    return make(round, "certs", NULL, programs) && make(round, "certs", NULL, intruder) &&
           make(round, "stranger", NULL, stranger) && files_copy(round, "certs/ca.pem", "former.pem");
}

/* How many servers answer a caller in a certain way. What is asked for no policy allows: who gets as far as that has a
 * good connection, and changes nothing. */
static size_t count_answers(const struct round *round, const struct caller *caller, mesh_status code, char *words,
                            size_t room)
{
    struct server servers[PHASES];
    size_t count = servers_of(round, servers), answered = 0;
    for (size_t i = 0; i < count; i++) {
        struct answer answer;
        caller_ask(round, caller, &servers[i], "/certificates/mine", &answer);
        answered += answer.code == code;
        if (i == 0 && words)
            (void)snprintf(words, room, "%s: %s", mesh_status_name(answer.code), answer.words);
    }
    return answered;
}

/* Waits until every server shows the newest generation. When, or 0. */
static int64_t wait_until_shown(const struct round *round)
{
    struct server servers[PHASES];
    size_t count = servers_of(round, servers);
    char dns_name[64];
    (void)snprintf(dns_name, sizeof(dns_name), "generation-%d.shop", round->generation);
    const struct caller caller = { "certs/frontdoor", "certs/bundle.pem", dns_name };
    for (int64_t end = now_ns() + SHOWN_AT_MOST; now_ns() < end; sleep_until(now_ns() + LOOK_EVERY)) {
        if (count_answers(round, &caller, MESH_OK, NULL, 0) == count)
            return now_ns();
    }
    return 0;
}

/* What is refused now: whoever looks for the former certificate, trusts its authority, or has one of its certificates.
 */
static void look_back(struct round *round)
{
    struct renewal *renewal = &round->renewal;
    struct server servers[PHASES];
    char dns_name[64];
    (void)snprintf(dns_name, sizeof(dns_name), "generation-%d.shop", round->generation - 1);
    const struct caller by_name = { "certs/frontdoor", "certs/bundle.pem", dns_name };
    const struct caller by_authority = { "certs/frontdoor", "former.pem", NULL };
    const struct caller by_certificate = { "certs/intruder", "certs/bundle.pem", NULL };
    renewal->servers = servers_of(round, servers);
    renewal->former_name =
        count_answers(round, &by_name, MESH_TLS_WRONG_NAME, renewal->words[0], sizeof(renewal->words[0]));
    renewal->former_authority =
        count_answers(round, &by_authority, MESH_TLS_UNKNOWN_AUTHORITY, renewal->words[1], sizeof(renewal->words[1]));
    renewal->former_certificate =
        count_answers(round, &by_certificate, MESH_TLS_REFUSED_BY_PEER, renewal->words[2], sizeof(renewal->words[2]));
}

void certificates_rotate(struct round *round)
{
    static const struct {
        const char *what, *option;
    } steps[ROTATIONS] = { { "by the same authority", NULL },
                           { "by a new authority, the former one trusted, too", "--new-authority" },
                           { "by the new authority, the former one trusted no more", NULL } };
    for (int i = 0; i < ROTATIONS; i++) {
        struct rotation *rotation = &round->rotations[i];
        operator_tell("all certificates are replaced");
        rotation->what = steps[i].what;
        rotation->begun_ns = now_ns();
        round->generation++;
        if (!make(round, "certs", steps[i].option, programs))
            return;
        rotation->shown_ns = wait_until_shown(round);
        sleep_until(now_ns() + SETTLED);
    }
    look_back(round);
}
