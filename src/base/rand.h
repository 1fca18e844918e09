/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes from the kernel, 256 at most. */
void random_fill(void *buf, size_t size);

/* Sixty-four bits from the kernel. */
uint64_t random_u64(void);

/* Uniform in [0, limit); 0 for limit 0. */
uint64_t random_below(uint64_t limit);

/* Full jitter: uniform in [0, min(cap, base * 2^attempt)], microseconds; attempt counts from 0.
 * (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog.) */
uint64_t backoff_full_jitter(uint64_t base_usec, uint64_t cap_usec, unsigned attempt);

/* "evt_" and 32 hexadecimal digits, of which 12 are the time in ms and 20 are random, and a NUL: ids that
 * are made one after the other are neighbours in an index, so that they are written with few pages. */
#define EVENT_ID_SIZE 37
void random_event_id(char out[static EVENT_ID_SIZE]);
