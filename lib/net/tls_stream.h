/* SPDX-License-Identifier: Apache-2.0 */
/* tls_stream.h - a stream that speaks TLS over another stream.
 *
 * It is "connecting" until hands are shaken: first the stream below, then the handshake, which has a timeout of its own
 * and is worked at where the desk says (handshaker.h); the bytes below are moved on the loop all the same. Phases:
 *
 *   phase    | event                    | then
 *   BELOW    | the stream below is up   | SHAKING: the timer starts; the client's first step is posted; `ready`
 *   BELOW    | it fails                 | BROKEN; `ready`
 *   SHAKING  | a step came back         | what it wrote is sent; done: OPEN and `ready`; failed: BROKEN and `ready`
 *   SHAKING  | bytes below, or the end  | the next step is posted
 *   SHAKING  | the timer                | BROKEN; `ready`
 *   OPEN     | readiness below          | `ready`
 *   BROKEN   | readiness below          | `ready`
 *   any      | close                    | gone; while a step is worked at, once it has come back
 *
 * Once BROKEN, reading drops what still comes and gives no bytes: -EAGAIN, then 0 or an error. So who has refused may
 * finish and wait for the peer's end, lest a reset destroys the alert before the peer has read it. */
#ifndef MESH__NET_TLS_STREAM_H
#define MESH__NET_TLS_STREAM_H

#include "net/handshaker.h"
#include "net/stream.h"

struct tls_plan {
    struct tls_desk *desk; /* outlives the stream */
    struct tls_spec *spec; /* the stream takes a reference of its own */
    enum tls_side side;
    const char *peer; /* client: the endpoint's address, for its sessions */
    mesh_nanos timeout;
};

/* Takes the stream below over, also when it fails: 0 or a negative errno. */
int mesh__tls_stream_new(const struct tls_plan *, struct stream *below, struct stream **out);

/* Nothing more is said, not even the end when it closes: to the peer it is cut off. Leaves streams that are not TLS as
 * they are. */
void mesh__tls_stream_silence(struct stream *);

/* What is known of a TLS stream. */
struct tls_state {
    bool shaking;                    /* the stream below is up, and hands are not yet shaken */
    mesh_status status;              /* MESH_OK; once `connected` has failed, the code of category tls, if it is one */
    const char *words;               /* more about the failure; "" or NULL: nothing */
    mesh_nanos took;                 /* for shaking hands */
    const struct tls_report *report; /* NULL until hands are shaken or were refused */
};

/* False when it is not a TLS stream. Pointers live as long as the stream. */
bool mesh__tls_stream_state(const struct stream *, struct tls_state *out);

#endif
