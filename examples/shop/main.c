/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - one program, several parts: a process is a service of the shop, or the driver that starts and judges them.
 */
#include "service.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(const char *folder);
} parts[] = {
    { "order", order_main },
    { "plain-order", plain_order_main },
    { "inventory", inventory_main },
    { "shipping", shipping_main },
};

int main(int count, char **arguments)
{
    if (count >= 3 && strcmp(arguments[1], "driver") == 0) {
        struct play play = { .tls = 1, .contrast = 1 };
        int at = 3;
        for (; at < count; at++) {
            if (strcmp(arguments[at], "--no-tls") == 0)
                play.tls = 0;
            else if (strcmp(arguments[at], "--http1") == 0)
                play.http1 = 1;
            else if (strcmp(arguments[at], "--no-contrast") == 0)
                play.contrast = 0;
            else
                break;
        }
        if (at == count)
            return driver_main(arguments[2], &play);
    }
    if (count == 4 && strcmp(arguments[1], "payment") == 0)
        return payment_main(arguments[2], arguments[3]);
    for (size_t i = 0; count == 3 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(arguments[1], parts[i].name) == 0)
            return parts[i].run(arguments[2]);
    }
    (void)fprintf(stderr, "usage: shop driver FOLDER [--no-tls] [--http1] [--no-contrast]\n"
                          "       shop order|plain-order|inventory|shipping FOLDER\n"
                          "       shop payment FOLDER NAME\n"
                          "examples/shop/run builds and starts everything; docs/guide/shop.md explains it.\n");
    return 2;
}
