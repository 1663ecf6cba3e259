/*
** siphash.h - SipHash-1-3, the keyed hash of Aumasson and Bernstein (one round a word, three at the end).
**
** With a secret random key nobody can choose keys that collide. Pure; safe from any thread.
*/
#ifndef VIPERDB_SIPHASH_H
#define VIPERDB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

uint64_t siphash(const uint64_t seed[2], const void *bytes, size_t size);

#pragma GCC visibility pop

#endif
