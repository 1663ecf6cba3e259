/*
** decimal.c - decimal numbers to doubles and back with 128-bit powers of ten.
**
** Doubles to decimals is Schubfach (Raffaele Giulietti, "The Schubfach way to render doubles"): among the
** numbers that round to a double, an interval, there is at most one with the coarser of two neighbouring
** decimal exponents and at least one with the finer. Both are found with three multiplications, by scaling
** the interval's ends with a power of ten; the power's 128 bits are enough because the bits cut off are kept
** as one sticky bit.
**
** Decimals to doubles: a multiplication by a power of ten gives bounds of the number that are 2^-125 of it
** apart (10^-18 if it has more than DECIMAL_DIGITS digits). Nearly always both round to the same double. If
** not, a point halfway between two doubles lies between them, and the number is compared with it exactly.
*/
#include "decimal.h"

#include <math.h>
#include <string.h>

#include "powers_table.h"

__extension__ typedef unsigned __int128 uint128;

/* A double is significand * 2^exponent; its bits: sign, 11 of biased exponent, 52 of the significand. */
#define SIGNIFICAND_BITS 52
#define HIDDEN_BIT (UINT64_C(1) << SIGNIFICAND_BITS)
#define BIAS 1075
#define MAX_BIASED 2046

typedef struct binary {
  uint64_t significand;
  int exponent;
} binary;

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static binary binary_of(uint64_t bits) {
  int biased = (int)(bits >> SIGNIFICAND_BITS);
  uint64_t fraction = bits & (HIDDEN_BIT - 1);
  if (biased == 0) return (binary){fraction, 1 - BIAS};
  return (binary){fraction | HIDDEN_BIT, biased - BIAS};
}

/* floor(log2(10^n)) for |n| <= 350; >> rounds down for negative numbers too. */
static int floor_log2_of_power_of_ten(int n) {
  return (n * 217706) >> 16;
}

/* floor(log10(2^n)), or floor(log10(3/4 * 2^n)), for |n| <= 1100. */
static int floor_log10_of_power_of_two(int n, bool three_quarters) {
  return (n * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

static const power *power_of_ten(int n) {
  return &powers[n - POWERS_MIN];
}

/* Doubles to decimals. */

/* factor * ten / 2^128, rounded down; the lowest bit is set too if anything was cut off. */
static uint64_t scale_to_odd(const power *ten, uint64_t factor) {
  uint128 low = (uint128)ten->low * factor;
  uint128 product = (uint128)ten->high * factor + (uint64_t)(low >> 64);
  /* The error of a rounded power is below 1 in the middle word, so a whole result leaves nothing there. */
  return (uint64_t)(product >> 64) | ((uint64_t)product != 0);
}

decimal decimal_from_double(double value) {
  binary v = binary_of(bits_of(value));
  bool even = v.significand % 2 == 0;
  /* Below a power of two the next double is nearer than above it. */
  bool nearer_below = v.significand == HIDDEN_BIT && v.exponent > 1 - BIAS;
  int exponent = floor_log10_of_power_of_two(v.exponent, nearer_below);

  /* All in quarters of 10^exponent: the interval that rounds to v (ends belong to it if v is even), and v. */
  const power *ten = power_of_ten(-exponent);
  int shift = v.exponent + floor_log2_of_power_of_ten(-exponent) + 1;
  uint64_t lower = scale_to_odd(ten, (4 * v.significand - 2 + nearer_below) << shift) + !even;
  uint64_t middle = scale_to_odd(ten, (4 * v.significand) << shift);
  uint64_t upper = scale_to_odd(ten, (4 * v.significand + 2) << shift) - !even;

  uint64_t unit = middle / 4;
  if (unit >= 10) {
    uint64_t tens = unit / 10;
    bool below_inside = lower <= 40 * tens, above_inside = 40 * tens + 40 <= upper;
    if (below_inside != above_inside) return (decimal){tens + above_inside, exponent + 1};
  }
  bool below_inside = lower <= 4 * unit, above_inside = 4 * unit + 4 <= upper;
  if (below_inside != above_inside) return (decimal){unit + above_inside, exponent};
  uint64_t halfway = 4 * unit + 2;
  bool round_up = middle > halfway || (middle == halfway && unit % 2 == 1);
  return (decimal){unit + round_up, exponent};
}

/* Decimals to doubles. */

/* The bits of the double nearest to scaled * 2^exponent, ties to even. One of the two top bits is set. */
static uint64_t round_to_bits(uint128 scaled, int exponent) {
  if (!(scaled >> 127)) scaled <<= 1, exponent--;
  int biased = exponent + 127 - SIGNIFICAND_BITS + BIAS;
  int drop = 63 - SIGNIFICAND_BITS; /* of the upper 64 bits */
  if (biased < 1) drop += 1 - biased, biased = 1;
  if (biased > MAX_BIASED) return bits_of(INFINITY);
  if (drop > 64) return 0;
  uint64_t high = (uint64_t)(scaled >> 64), half = UINT64_C(1) << 63;
  uint64_t kept = drop < 64 ? high >> drop : 0, rest = high << (64 - drop);
  bool up = rest > half || (rest == half && ((uint64_t)scaled != 0 || kept % 2 == 1));
  /* The hidden bit, if kept, counts the exponent up by one; so does a carry out of the significand. */
  return ((uint64_t)(biased - 1) << SIGNIFICAND_BITS) + kept + up;
}

/*
** Natural numbers for the exact comparison. Its two sides are nearly equal, so both are about as big as the
** bigger of the number's digits as an integer (801 digits, 2661 bits) and 54 bits times 5^1124 (2664 bits).
*/
#define EXACT_DIGITS 800 /* a point halfway between two doubles has at most 768 */
#define LIMBS 48

typedef struct natural {
  size_t size; /* limbs in use; the last is not zero */
  uint64_t limbs[LIMBS];
} natural;

static void multiply_add(natural *n, uint64_t factor, uint64_t addend) {
  for (size_t i = 0; i < n->size; i++) {
    uint128 product = (uint128)n->limbs[i] * factor + addend;
    n->limbs[i] = (uint64_t)product;
    addend = (uint64_t)(product >> 64);
  }
  if (addend != 0) n->limbs[n->size++] = addend;
}

static void multiply_by_power_of_five(natural *n, int64_t exponent) {
  for (; exponent >= 27; exponent -= 27) multiply_add(n, UINT64_C(7450580596923828125), 0);
  for (; exponent > 0; exponent--) multiply_add(n, 5, 0);
}

static void multiply_by_power_of_two(natural *n, int64_t exponent) {
  size_t limbs = (size_t)exponent / 64;
  multiply_add(n, UINT64_C(1) << exponent % 64, 0);
  memmove(n->limbs + limbs, n->limbs, n->size * sizeof n->limbs[0]);
  memset(n->limbs, 0, limbs * sizeof n->limbs[0]);
  n->size += limbs;
}

static int compare(const natural *a, const natural *b) {
  if (a->size != b->size) return a->size < b->size ? -1 : 1;
  for (size_t i = a->size; i-- > 0;)
    if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
  return 0;
}

/*
** The number's digits as an integer; returns the exponent that goes with it. Past EXACT_DIGITS the digits
** matter only by not all being zeros, and become a single 1.
*/
static int64_t read_digits(const decimal_text *text, natural *n) {
  size_t count = 0;
  bool sticky = false;
  n->size = 0;
  for (size_t i = 0; i < text->size; i++) {
    unsigned digit = (unsigned char)text->digits[i] - (unsigned)'0';
    if (text->digits[i] == '.' || (count == 0 && digit == 0)) continue;
    if (count == EXACT_DIGITS) {
      sticky |= digit != 0;
      continue;
    }
    multiply_add(n, 10, digit);
    count++;
  }
  if (sticky) multiply_add(n, 10, 1), count++;
  int64_t unread = count > DECIMAL_DIGITS ? (int64_t)(count - DECIMAL_DIGITS) : 0;
  return text->first.exponent - unread;
}

/* How the number compares with the point halfway between the double of these bits and the next. */
static int compare_with_halfway(const decimal_text *text, uint64_t bits) {
  binary below = binary_of(bits);
  natural number, halfway = {1, {2 * below.significand + 1}};
  int64_t exponent = read_digits(text, &number);
  int64_t shift = exponent - (below.exponent - 1);
  multiply_by_power_of_five(exponent > 0 ? &number : &halfway, exponent > 0 ? exponent : -exponent);
  multiply_by_power_of_two(shift > 0 ? &number : &halfway, shift > 0 ? shift : -shift);
  return compare(&number, &halfway);
}

double decimal_to_double(const decimal_text *text) {
  uint64_t significand = text->first.significand;
  if (significand == 0 || text->first.exponent < POWERS_MIN) return 0.0;
  if (text->first.exponent > POWERS_MAX) return INFINITY;
  int n = (int)text->first.exponent, leading_zeros = __builtin_clzll(significand);
  significand <<= leading_zeros;

  const power *ten = power_of_ten(n);
  uint128 low = (uint128)significand * ten->low;
  uint128 scaled = (uint128)significand * ten->high + (uint64_t)(low >> 64);
  int exponent = floor_log2_of_power_of_ten(n) + 1 - 64 - leading_zeros;

  /* What is cut off below `scaled` is less than 1, and so is the error of a power that was rounded up. */
  bool exact = n >= POWERS_EXACT_MIN && n <= POWERS_EXACT_MAX;
  uint128 lower = exact ? scaled | ((uint64_t)low != 0) : scaled - 1, upper = lower;
  if (!exact) upper += 2;
  if (text->more) upper += ((uint128)ten->high + 2) << leading_zeros;

  uint64_t bits = round_to_bits(lower, exponent);
  if (lower == upper || bits == round_to_bits(upper, exponent)) return double_of(bits);
  int order = compare_with_halfway(text, bits);
  return double_of(bits + (order > 0 || (order == 0 && bits % 2 == 1)));
}
