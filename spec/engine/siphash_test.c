/*
** siphash_test.c - the keyed hash against values of a program that gives the published ones for SipHash-2-4.
*/
#include "../../src/engine/siphash.h"

#include <inttypes.h>

#include "tap.h"

/* SipHash-1-3 of the first `size` of the bytes 0, 1, 2 ... with the key 00 01 .. 0f. */
static const struct {
  size_t size;
  uint64_t hash;
} known[] = {
    {0, UINT64_C(0xabac0158050fc4dc)},  {1, UINT64_C(0xc9f49bf37d57ca93)},
    {2, UINT64_C(0x82cb9b024dc7d44d)},  {3, UINT64_C(0x8bf80ab8e7ddf7fb)},
    {7, UINT64_C(0xd3927d989bb11140)},  {8, UINT64_C(0x369095118d299a8e)},
    {9, UINT64_C(0x25a48eb36c063de4)},  {15, UINT64_C(0xd320d86d2a519956)},
    {16, UINT64_C(0xcc4fdd1a7d908b66)}, {63, UINT64_C(0x9d199062b7bbb3a8)},
};

int main(void) {
  const uint64_t seed[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
  unsigned char input[64];
  for (unsigned i = 0; i < sizeof input; i++) input[i] = (unsigned char)i;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    ok(siphash(seed, input, known[i].size) == known[i].hash, "the hash of %zu bytes is %016" PRIx64,
       known[i].size, known[i].hash);
  return done_testing();
}
