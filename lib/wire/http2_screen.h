/* SPDX-License-Identifier: Apache-2.0 */
/* http2_screen.h - finds WINDOW_UPDATE frames that open a stream's window by nothing, in the bytes as they come. Pure.
 *
 * RFC 9113 6.9 has only their stream break; nghttp2 ends the connection. So they are taken out before it sees them.
 * Bytes that may be the beginning of one are held back: at most a frame's head and such a frame's payload.
 */
#ifndef MESH__WIRE_HTTP2_SCREEN_H
#define MESH__WIRE_HTTP2_SCREEN_H

#include "base/view.h"

#include <stdint.h>

struct http2_screen {
    uint32_t skip; /* bytes that belong to no frame's head: at first those of a client's preface */
    uint32_t held; /* bytes in `head` */
    bool block;    /* a header block is open: whatever comes within it is an error of another kind */
    unsigned char head[13];
};

struct http2_screened {
    struct view pass;  /* goes on; it lies in the input or in the screen, and is gone with the next call */
    size_t used;       /* of the input */
    uint32_t stream;   /* behind `pass` there was such a frame, of this stream; else 0 */
    struct view frame; /* it: as `pass` */
};

/* Takes bytes until such a frame has come, or all. To be called until all are used. */
struct http2_screened mesh__http2_screen(struct http2_screen *screen, const char *bytes, size_t size);

#endif
