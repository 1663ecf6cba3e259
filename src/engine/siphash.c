/*
** siphash.c - SipHash-1-3.
**
** Four words of state start as the seed mixed with fixed words. Each 8 input bytes are mixed into one word, a round
** is done, and they are mixed into another. The last word carries the rest of the input and the length's low byte.
*/
#include "siphash.h"

#include <string.h>

typedef struct sip_state {
  uint64_t a, b, c, d;
} sip_state;

static inline uint64_t rotate(uint64_t word, unsigned bits) {
  return word << bits | word >> (64 - bits);
}

static inline void round_once(sip_state *state) {
  state->a += state->b;
  state->c += state->d;
  state->b = rotate(state->b, 13) ^ state->a;
  state->d = rotate(state->d, 16) ^ state->c;
  state->a = rotate(state->a, 32);
  state->c += state->b;
  state->a += state->d;
  state->b = rotate(state->b, 17) ^ state->c;
  state->d = rotate(state->d, 21) ^ state->a;
  state->c = rotate(state->c, 32);
}

static inline void absorb(sip_state *state, uint64_t word) {
  state->d ^= word;
  round_once(state);
  state->a ^= word;
}

uint64_t siphash(const uint64_t seed[2], const void *bytes, size_t size) {
  sip_state state = {
      .a = seed[0] ^ UINT64_C(0x736f6d6570736575),
      .b = seed[1] ^ UINT64_C(0x646f72616e646f6d),
      .c = seed[0] ^ UINT64_C(0x6c7967656e657261),
      .d = seed[1] ^ UINT64_C(0x7465646279746573),
  };
  const unsigned char *next = bytes;
  uint64_t word;
  for (size_t left = size / 8; left > 0; left--, next += 8) {
    memcpy(&word, next, 8);
    absorb(&state, word);
  }
  word = (uint64_t)size << 56;
  for (size_t i = 0; i < size % 8; i++) word |= (uint64_t)next[i] << (8 * i);
  absorb(&state, word);
  state.c ^= 0xff;
  for (int i = 0; i < 3; i++) round_once(&state);
  return state.a ^ state.b ^ state.c ^ state.d;
}
