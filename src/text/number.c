/*
** number.c - the text of numbers: integers, floats as Python prints them, and the grammar of JSON.
**
** Everything is done on integers: no call here looks at the locale or the rounding mode. decimal.c finds the
** digits of a float, and the float of digits.
*/
#include "number.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "decimal.h"

/* Printing. */

static size_t count_digits(uint64_t value) {
  static const uint64_t powers_of_ten[20] = {1,
                                             10,
                                             100,
                                             1000,
                                             10000,
                                             100000,
                                             1000000,
                                             10000000,
                                             100000000,
                                             1000000000,
                                             10000000000,
                                             100000000000,
                                             1000000000000,
                                             10000000000000,
                                             100000000000000,
                                             1000000000000000,
                                             10000000000000000,
                                             100000000000000000,
                                             1000000000000000000,
                                             10000000000000000000u};
  value |= 1; /* zero has a digit too, and no power but 1 is odd */
  size_t count = (size_t)(64 - __builtin_clzll(value)) * 1233 >> 12; /* 1233 / 4096 is about log10(2) */
  return count + (value >= powers_of_ten[count]);
}

static char *write_pair_before(char *end, uint32_t value) {
  static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                              "25262728293031323334353637383940414243444546474849"
                              "50515253545556575859606162636465666768697071727374"
                              "75767778798081828384858687888990919293949596979899";
  return memcpy(end - 2, pairs + 2 * value, 2);
}

/* Writes the digits so that they stop before `end`. */
static void write_digits_before(char *end, uint64_t value) {
  while (value >= 100000000) {
    uint32_t low = (uint32_t)(value % 100000000), upper = low / 10000, lower = low % 10000;
    value /= 100000000;
    end = write_pair_before(write_pair_before(end, lower % 100), lower / 100);
    end = write_pair_before(write_pair_before(end, upper % 100), upper / 100);
  }
  uint32_t rest = (uint32_t)value;
  for (; rest >= 100; rest /= 100) end = write_pair_before(end, rest % 100);
  if (rest >= 10) write_pair_before(end, rest);
  else end[-1] = (char)('0' + rest);
}

size_t number_print_unsigned(char *out, uint64_t value) {
  size_t count = count_digits(value);
  write_digits_before(out + count, value);
  return count;
}

size_t number_print_integer(char *out, int64_t value) {
  if (value >= 0) return number_print_unsigned(out, (uint64_t)value);
  *out = '-';
  return 1 + number_print_unsigned(out + 1, 0 - (uint64_t)value);
}

static size_t trim_zeros(const char *text, size_t size) {
  while (text[size - 1] == '0') size--;
  return size;
}

/* Digits with a point after the first `point` of them, which may be zero or less, or more than there are. */
static size_t print_fixed(char *out, uint64_t digits, size_t count, int64_t point) {
  if (point <= 0) {
    size_t before = 2 + (size_t)-point;
    memcpy(out, "0.000", before);
    write_digits_before(out + before + count, digits);
    return trim_zeros(out, before + count);
  }
  if ((size_t)point < count) {
    write_digits_before(out + 1 + count, digits);
    memmove(out, out + 1, (size_t)point);
    out[point] = '.';
    return trim_zeros(out, 1 + count);
  }
  write_digits_before(out + count, digits);
  memset(out + count, '0', (size_t)point - count);
  memcpy(out + point, ".0", 2);
  return (size_t)point + 2;
}

/* One digit, a fraction if there is more than that digit, an exponent of at least two digits. */
static size_t print_scientific(char *out, uint64_t digits, size_t count, int64_t exponent) {
  write_digits_before(out + 1 + count, digits);
  out[0] = out[1];
  out[1] = '.';
  size_t size = trim_zeros(out, 1 + count);
  if (size == 2) size = 1;
  out[size++] = 'e';
  out[size++] = exponent < 0 ? '-' : '+';
  uint64_t magnitude = (uint64_t)(exponent < 0 ? -exponent : exponent);
  if (magnitude < 10) out[size++] = '0';
  return size + number_print_unsigned(out + size, magnitude);
}

static size_t print_positive(char *out, double value) {
  if (value < 0x1p53 && (double)(int64_t)value == value) {
    size_t size = number_print_unsigned(out, (uint64_t)value);
    memcpy(out + size, ".0", 2);
    return size + 2;
  }
  decimal shortest = decimal_from_double(value);
  size_t count = count_digits(shortest.significand);
  int64_t point = (int64_t)count + shortest.exponent;
  if (point > -4 && point <= 16) return print_fixed(out, shortest.significand, count, point);
  return print_scientific(out, shortest.significand, count, point - 1);
}

size_t number_print_float(char *out, double value) {
  if (!signbit(value)) return print_positive(out, value);
  *out = '-';
  return 1 + print_positive(out + 1, -value);
}

/* Parsing. */

/* Past this an exponent says nothing more: no text is so long that its digits could make up for it. */
#define MAX_EXPONENT (INT64_C(1) << 50)

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Eight bytes as a little-endian number, from any address. */
static uint64_t load64(const char *p) {
  uint64_t word = 0;
  for (int i = 0; i < 8; i++) word |= (uint64_t)(unsigned char)p[i] << 8 * i;
  return word;
}

/* Digits are 0x30 .. 0x39: adding 6 carries into the upper half of anything above. */
static bool eight_are_digits(uint64_t word) {
  uint64_t upper_halves = UINT64_C(0xF0F0F0F0F0F0F0F0), sixes = UINT64_C(0x0606060606060606);
  return ((word & upper_halves) | ((word + sixes) & upper_halves) >> 4) == UINT64_C(0x3333333333333333);
}

/* Neighbours are joined to numbers of two digits, these to four, these to eight. */
static uint64_t eight_digits(uint64_t word) {
  word -= UINT64_C(0x3030303030303030);
  word = (word * 10 + (word >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
  word = (word * 100 + (word >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
  return (word * 10000 + (word >> 32)) & UINT64_C(0xFFFFFFFF);
}

/* Appends a run of digits to *value, modulo 2^64. Returns where it ends. */
static const char *read_digits(const char *p, const char *end, uint64_t *value) {
  for (uint64_t word; end - p >= 8 && eight_are_digits(word = load64(p)); p += 8)
    *value = *value * 100000000 + eight_digits(word);
  for (; p < end && is_digit(*p); p++) *value = *value * 10 + (uint64_t)(*p - '0');
  return p;
}

/* `e`, a sign or not, digits: returns where they end, or `p` if there is no such exponent. */
static const char *read_exponent(const char *p, const char *end, int64_t *exponent) {
  const char *start = p;
  if (p == end || (*p != 'e' && *p != 'E')) return start;
  p++;
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end || !is_digit(*p)) return start;
  int64_t value = 0;
  for (; p < end && is_digit(*p); p++)
    if (value < MAX_EXPONENT) value = value * 10 + (*p - '0');
  *exponent = negative ? -value : value;
  return p;
}

/* Fills in `first` and `more`, given all digits modulo 2^64 and the exponent of the last. */
static void find_first_digits(decimal_text *text, uint64_t all_digits, int64_t exponent) {
  const char *p = text->digits, *end = p + text->size;
  text->first = (decimal){all_digits, exponent};
  text->more = false;
  if (text->size <= DECIMAL_DIGITS) return;
  while (p < end && (*p == '0' || *p == '.')) p++;
  uint64_t first = 0;
  int count = 0;
  for (; p < end && count < DECIMAL_DIGITS; p++) {
    if (*p == '.') continue;
    first = first * 10 + (uint64_t)(*p - '0');
    count++;
  }
  int64_t left = end - p - (memchr(p, '.', (size_t)(end - p)) != NULL);
  text->first = (decimal){first, exponent + left};
  text->more = left > 0;
}

static double to_double(const char *digits, const char *end, uint64_t all_digits, int64_t exponent) {
  decimal_text text = {.digits = digits, .size = (size_t)(end - digits)};
  find_first_digits(&text, all_digits, exponent);
  return decimal_to_double(&text);
}

/* For digits without fraction and exponent. `value` is them modulo 2^64. */
static void set_whole(number *out, bool negative, const char *digits, const char *end, uint64_t value) {
  uint64_t limit = (uint64_t)INT64_MAX + negative;
  bool minus_zero = negative && *digits == '0';
  if (end - digits <= DECIMAL_DIGITS && value <= limit && !minus_zero) {
    out->kind = NUMBER_INTEGER;
    out->integer = (int64_t)(negative ? 0 - value : value);
  } else {
    double real = to_double(digits, end, value, 0);
    out->kind = minus_zero ? NUMBER_FLOAT : NUMBER_BIG;
    out->real = negative ? -real : real;
  }
}

size_t number_parse(const char *text, size_t size, number *out) {
  const char *end = text + size, *digits = text;
  bool negative = size > 0 && *text == '-';
  *out = (number){.kind = NUMBER_BAD};
  if (negative) digits++;
  uint64_t value = 0;
  const char *p = digits < end && *digits == '0' ? digits + 1 : read_digits(digits, end, &value);
  if (p == digits) return 0;

  const char *digits_end = p;
  int64_t exponent = 0, fraction = 0;
  if (end - p >= 2 && *p == '.' && is_digit(p[1])) {
    digits_end = read_digits(p + 1, end, &value);
    fraction = digits_end - (p + 1);
  }
  const char *number_end = read_exponent(digits_end, end, &exponent);
  if (number_end == p) {
    set_whole(out, negative, digits, p, value);
  } else {
    double real = to_double(digits, digits_end, value, exponent - fraction);
    out->kind = isinf(real) ? NUMBER_HUGE : NUMBER_FLOAT;
    out->real = negative ? -real : real;
  }
  return (size_t)(number_end - text);
}
