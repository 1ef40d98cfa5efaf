/* SPDX-License-Identifier: Apache-2.0 */
/* intruder.c - three who are not allowed to call, and do so, at every server: each is refused for a reason of its own.
 */
#include "driver.h"

#include <string.h>

static const struct {
    const char *who;
    struct caller caller;
    mesh_status code;
    int http;
    const char *logged; /* is in what the server logs about it */
} intruders[INTRUDERS] = {
    { "the shop's certificate for spiffe://shop/intruder",
      { "certs/intruder", "certs/bundle.pem", NULL },
      MESH_OK,
      403,
      "spiffe://shop/intruder" },
    { "no certificate", { NULL, "certs/bundle.pem", NULL }, MESH_TLS_REFUSED_BY_PEER, 0, "showed no certificate" },
    { "another authority's certificate for spiffe://shop/order",
      { "stranger/order", "certs/bundle.pem", NULL },
      MESH_TLS_REFUSED_BY_PEER,
      0,
      "no authority that is trusted" },
};

static void call_all(struct round *round, int intruder)
{
    struct intrusion *intrusion = &round->intrusions[intruder];
    struct server servers[PHASES];
    size_t count = servers_of(round, servers);
    char path[64];
    intrusion->who = intruders[intruder].who;
    for (size_t i = 0; i < count; i++) {
        struct answer answer;
        (void)snprintf(path, sizeof(path), "/%s/intruder-%d-%zu", servers[i].collection, intruder + 1, i + 1);
        caller_ask(round, &intruders[intruder].caller, &servers[i], path, &answer);
        int expected = answer.code == intruders[intruder].code && answer.http == intruders[intruder].http;
        intrusion->tried++;
        intrusion->refused += (size_t)expected;
        if (i == 0)
            intrusion->first = answer;
        if (!expected && !intrusion->where[0]) {
            intrusion->unexpected = answer;
            (void)snprintf(intrusion->where, sizeof(intrusion->where), "%s", servers[i].name);
        }
    }
}

void intruders_call(struct round *round)
{
    operator_tell("intruders call");
    for (int i = 0; i < INTRUDERS; i++)
        call_all(round, i);
}

void intruders_read_log(struct round *round)
{
    char path[SHOP_PATH], line[600];
    (void)snprintf(path, sizeof(path), "%s/payment-1.log", round->folder);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        for (int i = 0; i < INTRUDERS; i++) {
            if (!round->intrusions[i].said[0] && strstr(line, intruders[i].logged))
                (void)snprintf(round->intrusions[i].said, sizeof(line), "%.*s", (int)strcspn(line, "\n"), line);
        }
    }
    if (file)
        (void)fclose(file);
}
