/* SPDX-License-Identifier: Apache-2.0 */
/* time.c - e^(-x) by halving the argument and squaring the result. */
#include "base/time.h"

double mesh__decay(double x)
{
    if (!(x > 0))
        return 1.0;
    if (x >= 80.0)
        return 0.0;
    /* e^-x = (e^(-x/2^k))^(2^k); below 1/16 five terms of the series are exact to 1e-9. */
    int halvings = 0;
    while (x > 0.0625) {
        x *= 0.5;
        halvings++;
    }
    double y = 1.0 - x * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0))));
    while (halvings-- > 0)
        y *= y;
    return y;
}
