/*
** crc32.c - CRC-32: slicing tables, and carry-less multiplication for 16 bytes and more.
**
** The checksum of a message M is M * x^32 modulo P = x^32 + x^26 + ... + 1, over the polynomials with
** coefficients 0 and 1. zlib's order is reflected: the lowest bit of the first byte is the highest
** coefficient.
**
** Tables: slice[0] moves a byte over one byte of zeros, slice[n] over n + 1 of them, so eight bytes go
** through eight independent lookups.
**
** Carry-less multiplication: 16 bytes A that stand n bits before 16 bytes B may be replaced by any polynomial
** congruent to A * x^n, added to B. With A = H * x^64 + L that is H * (x^(n+64) mod P) + L * (x^n mod P): two
** multiplications that need no lookups and fit 128 bits. All bytes are so folded into the last 16, which a
** Barrett reduction (a multiplication by the inverse of P, one by P) brings to 32 bits. In reflected order
** the product of 64 bits and 32 bits reads as x^33 times what it is, so the constants are x^(n+31) and
** x^(n-33) modulo P.
**
** Where the processor multiplies four pairs at once, long messages are folded 64 bytes at a time.
*/
#include "crc32.h"

#include <stdbool.h>

#define POLYNOMIAL 0xEDB88320u /* P without x^32, reflected */

static uint32_t slice[8][256];

/* Runs when the program or the shared object is loaded, before any thread can ask for a checksum. */
__attribute__((constructor)) static void fill_slices(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
    slice[0][byte] = crc;
  }
  for (int n = 1; n < 8; n++)
    for (int byte = 0; byte < 256; byte++)
      slice[n][byte] = (slice[n - 1][byte] >> 8) ^ slice[0][slice[n - 1][byte] & 0xFF];
}

/* Four bytes as a little-endian number, from any address. */
static inline uint32_t load32(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t update_by_tables(uint32_t crc, const unsigned char *p, size_t size) {
  for (; size >= 8; p += 8, size -= 8) {
    uint32_t low = crc ^ load32(p), high = load32(p + 4);
    crc = slice[7][low & 0xFF] ^ slice[6][low >> 8 & 0xFF] ^ slice[5][low >> 16 & 0xFF] ^ slice[4][low >> 24];
    crc ^= slice[3][high & 0xFF] ^ slice[2][high >> 8 & 0xFF];
    crc ^= slice[1][high >> 16 & 0xFF] ^ slice[0][high >> 24];
  }
  while (size-- > 0) crc = (crc >> 8) ^ slice[0][(crc ^ *p++) & 0xFF];
  return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define CARRYLESS __attribute__((target("pclmul,sse4.1")))

/* Multipliers {of the first 8 bytes, of the last 8} to move 16 bytes over n bits; see the file's head. */
static const uint64_t over_128[2] = {0xAE689191, 0xCCAA009E};
static const uint64_t over_256[2] = {0xF1DA05AA, 0x81256527};
static const uint64_t over_384[2] = {0x3DB1ECDC, 0xAF449247};
static const uint64_t over_512[2] = {0x8F352D95, 0x1D9513D7};
static const uint64_t over_2048[2] = {0xCE3371CB, 0xE95C1271};

/* floor(x^95 / P) and P, reflected in 64 and 33 bits. */
static const uint64_t barrett[2] = {0xB4E5B025F7011641, 0x1DB710641};

CARRYLESS static inline __m128i load(const void *p) {
  return _mm_loadu_si128(p);
}

/* `front` moved over the bits that `over` stands for and added to `back`. */
CARRYLESS static inline __m128i fold(__m128i front, const uint64_t over[2], __m128i back) {
  __m128i multipliers = load(over);
  __m128i first = _mm_clmulepi64_si128(front, multipliers, 0x00);
  __m128i last = _mm_clmulepi64_si128(front, multipliers, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, last), back);
}

/* 16 bytes H * x^64 + L to the checksum: H * x^96 + L * x^32 in 96 bits, less the multiple of P in it. */
CARRYLESS static inline uint32_t reduce(__m128i sum) {
  __m128i multipliers = load(barrett);
  __m128i dividend = _mm_xor_si128(_mm_clmulepi64_si128(sum, load(over_128), 0x10), _mm_srli_si128(sum, 8));
  __m128i quotient = _mm_clmulepi64_si128(dividend, multipliers, 0x00);
  __m128i multiple = _mm_clmulepi64_si128(quotient, multipliers, 0x10);
  return (uint32_t)_mm_extract_epi32(_mm_xor_si128(dividend, multiple), 2);
}

/*
** Folds the last size (1 to 15) bytes before `end`, of at least 16 that may be read there. `sum` and these
** bytes are one string: its last 16 bytes stay, what is pushed out at the front is folded over them.
*/
CARRYLESS static inline __m128i fold_rest(__m128i sum, const unsigned char *end, size_t size) {
  /* A window of it shuffles: 0x80 gives a zero byte, n byte n. */
  /* clang-format off */
  static const uint8_t window[48] = {
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
  /* clang-format on */
  __m128i out_shuffle = load(window + size), in_shuffle = load(window + 16 + size);
  __m128i pushed_out = _mm_shuffle_epi8(sum, out_shuffle), kept = _mm_shuffle_epi8(sum, in_shuffle);
  /* The kept bytes' places hold 0 to 15 in in_shuffle, the others 0x80: there the new bytes go. */
  return fold(pushed_out, over_128, _mm_blendv_epi8(kept, load(end - 16), in_shuffle));
}

/* The checksum of `sum` and the bytes from p to end. */
CARRYLESS static inline uint32_t finish(__m128i sum, const unsigned char *p, const unsigned char *end) {
  for (; end - p >= 16; p += 16) sum = fold(sum, over_128, load(p));
  if (p < end) sum = fold_rest(sum, end, (size_t)(end - p));
  return reduce(sum);
}

/* For 16 bytes or more. */
CARRYLESS static uint32_t update_carryless(uint32_t crc, const unsigned char *p, size_t size) {
  const unsigned char *end = p + size;
  __m128i sum = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)crc));
  p += 16;
  if (size >= 64) {
    __m128i second = load(p), third = load(p + 16), fourth = load(p + 32);
    for (p += 48; end - p >= 64; p += 64) {
      sum = fold(sum, over_512, load(p));
      second = fold(second, over_512, load(p + 16));
      third = fold(third, over_512, load(p + 32));
      fourth = fold(fourth, over_512, load(p + 48));
    }
    sum = fold(sum, over_384, fold(second, over_256, fold(third, over_128, fourth)));
  }
  return finish(sum, p, end);
}

#define WIDE __attribute__((target("pclmul,sse4.1,avx512f,vpclmulqdq")))
#define WIDE_SIZE 512 /* what is shorter is not worth waking up the wide unit */

WIDE static inline __m512i load_wide(const void *p) {
  return _mm512_loadu_si512(p);
}

/* fold() of four times 16 bytes. */
WIDE static inline __m512i fold_wide(__m512i front, const uint64_t over[2], __m512i back) {
  __m512i multipliers = _mm512_broadcast_i32x4(load(over));
  __m512i first = _mm512_clmulepi64_epi128(front, multipliers, 0x00);
  __m512i last = _mm512_clmulepi64_epi128(front, multipliers, 0x11);
  return _mm512_xor_si512(_mm512_xor_si512(first, last), back);
}

/* For 256 bytes or more. */
WIDE static uint32_t update_wide(uint32_t crc, const unsigned char *p, size_t size) {
  const unsigned char *end = p + size;
  __m512i sum = _mm512_xor_si512(load_wide(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
  __m512i second = load_wide(p + 64), third = load_wide(p + 128), fourth = load_wide(p + 192);
  for (p += 256; end - p >= 256; p += 256) {
    sum = fold_wide(sum, over_2048, load_wide(p));
    second = fold_wide(second, over_2048, load_wide(p + 64));
    third = fold_wide(third, over_2048, load_wide(p + 128));
    fourth = fold_wide(fourth, over_2048, load_wide(p + 192));
  }
  sum = fold_wide(fold_wide(fold_wide(sum, over_512, second), over_512, third), over_512, fourth);
  for (; end - p >= 64; p += 64) sum = fold_wide(sum, over_512, load_wide(p));
  __m128i last = _mm512_extracti32x4_epi32(sum, 3);
  last = fold(_mm512_extracti32x4_epi32(sum, 2), over_128, last);
  last = fold(_mm512_extracti32x4_epi32(sum, 1), over_256, last);
  return finish(fold(_mm512_castsi512_si128(sum), over_384, last), p, end);
}

/* Both read what the compiler's run-time library found out at load time. */
static inline bool has_carryless(void) {
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

static inline bool has_wide(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq") && has_carryless();
}

static uint32_t update(uint32_t crc, const void *bytes, size_t size) {
  if (size >= WIDE_SIZE && has_wide()) return update_wide(crc, bytes, size);
  if (size >= 16 && has_carryless()) return update_carryless(crc, bytes, size);
  return update_by_tables(crc, bytes, size);
}

#else

#define update update_by_tables

#endif

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t size) {
  return ~update(~crc, bytes, size);
}
