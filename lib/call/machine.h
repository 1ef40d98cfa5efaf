/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - one call from start to end: events in, a short list of effects out. Pure.
 *
 * The shell (client/call.c, or a simulator) feeds an event, carries out the effects in their order, and feeds what came
 * of them, until DONE. It calls mesh__machine_step() never from inside itself: answers to ADMIT, PICK and ASK_RETRY are
 * fed after the list of effects has been carried out, as the very next event: these take places (a request's, a
 * probe's, a retry's), which only the machine knows how to give back. A PICKED with MESH_OK is always followed by
 * START.
 *
 * What always holds: every attempt that START began gets exactly one REPORT, and before it at most one JUDGE; RELEASE
 * comes exactly once if ADMITTED said yes, and never otherwise; DONE is the last effect of a call and comes exactly
 * once; events after DONE, or about an attempt that has been reported, change nothing. There is one timer; ARM moves
 * it; a TIMER before its time arms it again. While a call is live the timer is set, to the deadline at the latest; DONE
 * ends it.
 *
 * docs/internals/call-machine.md has the table of states and events. */
#ifndef MESH__CALL_MACHINE_H
#define MESH__CALL_MACHINE_H

#include "policy/classify.h"
#include "policy/deadline.h"
#include "policy/retry.h"

#define MACHINE_ATTEMPTS (RETRY_ATTEMPTS_MAX + 2)
#define MACHINE_EFFECTS 8

enum machine_state {
    MACHINE_NEW,
    MACHINE_RESOLVING, /* waits for the service's endpoints */
    MACHINE_ADMITTING,
    MACHINE_PICKING,
    MACHINE_TRYING, /* an attempt is under way; nothing of a response has been handed on */
    MACHINE_ASKING, /* may it be retried? */
    MACHINE_BACKOFF,
    MACHINE_COMMITTED, /* a response is being handed on, or what went before is kept no more: no retry any more */
    MACHINE_DONE
};

enum machine_event {
    EVENT_START,
    EVENT_RESOLVED, /* status: MESH_OK, or why there are no endpoints */
    EVENT_ADMITTED, /* status: MESH_OK or MESH_OVERLOADED */
    EVENT_PICKED,   /* status: MESH_OK with ticket and probe, or MESH_NO_ENDPOINT and the like */
    EVENT_READY,    /* the attempt has a connection */
    EVENT_SENT,     /* sent: how much of the request has been given to it so far */
    EVENT_HEAD, /* http_status, retry_after, and what END names if the head has it: the response's head is complete */
    EVENT_BODY,
    EVENT_END,            /* grpc_status, pushed_back, pushback: the response is complete */
    EVENT_FAILED,         /* status, grpc_status, unsent, stale */
    EVENT_RETRY_ADMITTED, /* status: MESH_OK or MESH_OVERLOADED; others: another endpoint is in use */
    EVENT_TIMER,          /* the armed time has come */
    EVENT_CANCEL,
    EVENT_COMMIT /* streaming: what `attempt` was given, or gave, is kept no more: it cannot be followed by another */
};

/* Fields that an event does not name are ignored. */
struct machine_input {
    enum machine_event event;
    uint8_t attempt;
    mesh_status status;
    int32_t http_status;
    enum sent sent;
    bool unsent, stale, probe, others;
    uint16_t ticket;
    mesh_nanos retry_after; /* -1: none */
    int32_t grpc_status;    /* as in struct report, like the next two */
    bool pushed_back;
    mesh_nanos pushback;
    uint32_t random;
};

enum machine_effect {
    EFFECT_RESOLVE, /* feed RESOLVED when the endpoints are known, or cannot be */
    EFFECT_ADMIT,   /* take a place among the service's requests, count a deposit; feed ADMITTED */
    EFFECT_PICK,    /* choose an endpoint for `attempt`; feed PICKED */
    EFFECT_START,   /* get a connection and send; feed READY, SENT, HEAD, BODY, END or FAILED */
    EFFECT_STOP,    /* take the attempt's exchange down: nothing more is fed for it */
    EFFECT_REPORT,  /* the attempt has ended: its report and verdict are in the machine */
    EFFECT_JUDGE,   /* the head of a probe speaks for its endpoint: tell the breaker and the estimate of the verdict */
    EFFECT_ASK_RETRY, /* take a token and a place among the retries; feed RETRY_ADMITTED */
    EFFECT_ARM,       /* feed TIMER at `at`; NANOS_NEVER: never */
    EFFECT_DELIVER,   /* hand the head of `attempt` on; bodies follow as they come */
    EFFECT_RELEASE, /* give back the place that ADMIT took, and, if machine.holds_retry, that of a retry never begun */
    EFFECT_DONE     /* status; `attempt` holds the response if status is MESH_OK */
};

struct effect {
    enum machine_effect kind;
    uint8_t attempt;
    mesh_status status;
    mesh_nanos at;
};

struct effects {
    uint32_t count;
    struct effect list[MACHINE_EFFECTS];
};

/* Fixed for the call. Borrowed parts outlive it. */
struct machine_config {
    const struct retry_config *retry;
    struct deadline deadline;
    mesh_nanos resolve_timeout; /* how long to wait for endpoints */
    bool idempotent, no_retry;
    bool commit_on_head; /* streaming: the head is handed on as it comes; buffered calls hand on at the end */
};

enum attempt_phase { ATTEMPT_NONE, ATTEMPT_WAITING /* for a connection */, ATTEMPT_OPEN, ATTEMPT_ENDED };

struct machine_attempt {
    enum attempt_phase phase;
    struct report report;   /* final once EFFECT_REPORT has come */
    struct verdict verdict; /* likewise; at JUDGE it is that of the head */
    uint16_t ticket;
    bool holds_retry;  /* a place among the service's retries, to be given back with EFFECT_REPORT */
    bool has_response; /* whole */
    mesh_nanos picked_at, cut_at;
    bool judged;           /* a probe whose head has been told of: JUDGE */
    mesh_nanos backoff;    /* the pause before it */
    enum mesh_retry retry; /* why another followed */
    enum mesh_stop stop;   /* why none did */
};

struct machine {
    enum machine_state state;
    uint8_t count;   /* attempts begun */
    uint8_t counted; /* of these, how many `retry.attempts` counts */
    uint8_t retries; /* admitted by the budget, for the backoff */
    bool admitted, free_used;
    bool free_next;        /* the next attempt is the free repeat */
    bool holds_retry;      /* a place among the service's retries that no attempt has taken over yet */
    mesh_nanos started_at; /* when START came */
    mesh_nanos armed;      /* what the timer is set to */
    mesh_nanos backoff;    /* the pause before the attempt that is to come */
    struct machine_attempt attempts[MACHINE_ATTEMPTS]; /* the first `count` */
};

void mesh__machine_init(struct machine *);

/* One event; `out` is overwritten. */
void mesh__machine_step(struct machine *, const struct machine_config *, const struct machine_input *, mesh_nanos now,
                        struct effects *out);

#endif
