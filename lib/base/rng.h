/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h - seedable random bits (xoshiro256**, Blackman and Vigna); for choices, never for keys. */
#ifndef MESH__BASE_RNG_H
#define MESH__BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* Any seed will do; equal seeds give equal sequences. */
void mesh__rng_init(struct rng *rng, uint64_t seed);

uint64_t mesh__rng_next(struct rng *rng);

/* Uniform in [0, bound), from 32 random bits; 0 for bound 0. */
static inline uint32_t mesh__rng_below(uint32_t random, uint32_t bound)
{
    return (uint32_t)(((uint64_t)random * bound) >> 32);
}

#endif
