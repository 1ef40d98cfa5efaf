/* SPDX-License-Identifier: Apache-2.0 */
/* classify.h - what an attempt's end means, decided once: for breaker, estimate, retry, counters and spans alike. Pure.
 */
#ifndef MESH__POLICY_CLASSIFY_H
#define MESH__POLICY_CLASSIFY_H

#include "policy/breaker.h"

#include <mesh/call.h>

/* How much of the request has been given to the transport. */
enum sent { SENT_NONE, SENT_PART, SENT_ALL };

/* Everything that is known when an attempt ends. */
struct report {
    mesh_status status;  /* MESH_OK: a whole response */
    int32_t http_status; /* of the response, also of one that broke off; 0 without */
    int32_t grpc_status; /* enum mesh_grpc_status, said by the response or by RST_STREAM; 0 for other calls, too */
    enum sent sent;
    bool unsent;            /* the peer provably did not act: connection never open, REFUSED_STREAM, above GOAWAY */
    bool stale;             /* a connection used before closed without a byte of response (RFC 9112, section 9.3.1), or
                               the peer had gone away from it in order (GOAWAY with NO_ERROR) */
    bool delivered;         /* of a stream: its head was handed on */
    bool short_deadline;    /* MESH_DEADLINE, and the attempt had much less time than the service's timeout */
    bool probe;             /* the attempt was the breaker's probe */
    mesh_nanos elapsed;     /* from pick to end, or to the head that was handed on */
    mesh_nanos retry_after; /* what the peer asked for, clamped to 0..300 s; -1: nothing */
    bool pushed_back;       /* the response had grpc-retry-pushback-ms: */
    mesh_nanos pushback;    /* the pause before the next attempt, clamped likewise; -1: there shall be none */
};

enum sample { SAMPLE_NONE, SAMPLE_RECORD, SAMPLE_RAISE, SAMPLE_RESET };

struct verdict {
    enum breaker_event breaker;
    mesh_nanos freeze; /* > 0: shut this endpoint for so long, for a Retry-After (429, 503); before the record */
    enum sample sample;
    mesh_nanos sample_ns;
};

/* Refused and unreachable connections shut at once; transport failures, timeouts and 5xx are failures; other responses
 * are successes; what this side caused (cancelled, short deadline, limits, own resources, overload) is neutral.
 * A stream whose head was handed on and that this side then ended (cancelled, any deadline, limits) counts as its head.
 * Failures, 5xx and 429 weigh max(elapsed, 1 s, Retry-After) in the estimate; a cancelled attempt, or one cut by a
 * short deadline, raises it to its elapsed time at most; the success of a probe resets it to its own time. A stale
 * connection tells of itself, not of its endpoint: neutral, and raises likewise. A gRPC status counts as the HTTP
 * status that Envoy takes it for: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS as
 * 5xx, RESOURCE_EXHAUSTED as 429. */
struct verdict mesh__classify(const struct report *);

#endif
