/*
** number_test.c - numbers to text and back: what Python's repr prints, what JSON's grammar takes, what
** strtod reads.
*/
#include "../../src/text/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static bool same_bits(double a, double b) {
  uint64_t a_bits, b_bits;
  memcpy(&a_bits, &a, sizeof a);
  memcpy(&b_bits, &b, sizeof b);
  return a_bits == b_bits;
}

/* A small generator (xorshift64), so that a failure comes again. */
static uint64_t random_bits(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static const char *float_text(double value) {
  static char text[NUMBER_FLOAT_SIZE + 1];
  text[number_print_float(text, value)] = '\0';
  return text;
}

static number parsed(const char *text) {
  number result;
  number_parse(text, strlen(text), &result);
  return result;
}

static void test_floats_print_as_in_python(void) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {-1.5, "-1.5"},
      {0.1, "0.1"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3, "0.3333333333333333"},
      {100.25, "100.25"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {0.00012345, "0.00012345"},
      {1e-7, "1e-07"},
      {1e-9, "1e-09"},
      {1.5e-10, "1.5e-10"},
      {123456789012345.6, "123456789012345.6"},
      {999999999999999.9, "999999999999999.9"},
      {4503599627370495.5, "4503599627370495.5"},
      {9007199254740991.0, "9007199254740991.0"},
      {9007199254740993.0, "9007199254740992.0"},
      {9999999999999998.0, "9999999999999998.0"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {1.2345678901234568e16, "1.2345678901234568e+16"},
      {0x1p63, "9.223372036854776e+18"},
      {0x1p64, "1.8446744073709552e+19"},
      {1e22, "1e+22"},
      {1e23, "1e+23"}, /* halfway between two doubles, as 7e22 */
      {0x1.52d02c7e14af7p76, "1.0000000000000001e+23"},
      {7e22, "7e+22"},
      {0x1.da56a4b0835bfp75, "6.9999999999999996e+22"},
      {9.5e-5, "9.5e-05"},
      {0x1p-44, "5.684341886080802e-14"},
      {9e99, "9e+99"},
      {1e100, "1e+100"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
      {2.225073858507201e-308, "2.225073858507201e-308"},
      {5e-324, "5e-324"},
      {1e-323, "1e-323"},
      {1.5e-323, "1.5e-323"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    const char *text = float_text(cases[i].value);
    ok(strcmp(text, cases[i].text) == 0, "%a prints as %s (%s)", cases[i].value, cases[i].text, text);
    ok(same_bits(parsed(text).real, cases[i].value), "%s reads back", cases[i].text);
  }
}

static void test_texts_read_as_the_nearest_double(void) {
  static const struct {
    const char *text;
    double value;
  } cases[] = {
      {"9007199254740993.0", 0x1p53}, /* halfway, to even */
      {"9007199254740995e0", 0x1.0000000000002p53},
      {"9007199254740993.000000000000000000000000000000000000000000000000000000000001", 0x1.0000000000001p53},
      {"4503599627370496.5", 0x1p52}, /* halfway with a power of ten that has no exact form */
      {"4503599627370497.5", 0x1.00000000000018p52},
      {"3.518437208883201171875e13", 0x1.0000000000002p45},
      {"7.2057594037927933e+16", 0x1p56},
      {"1.00000000000000011102230246251565404236316680908203124", 1.0},
      {"1.00000000000000011102230246251565404236316680908203125", 1.0},
      {"1.00000000000000011102230246251565404236316680908203126", 0x1.0000000000001p0},
      {"1.00000000000000033306690738754696212708950042724609375", 0x1.0000000000002p0},
      {"104110013277974872254e-225", 0x1.0b661a31987aep-681},
      {"30078505129381147446200", 0x1.97a3c7271b021p74},
      {"1777820000000000000001", 0x1.8180d5bad2e3ep70},
      {"2.2250738585072011e-308", 0x0.fffffffffffffp-1022},
      {"2.2250738585072012e-308", 0x1p-1022},
      {"4.9e-324", 0x1p-1074},
      {"2.4703282292062327208e-324", 0.0}, /* halfway between 0 and 5e-324 is ...7208282..e-324 */
      {"2.4703282292062327209e-324", 0x1p-1074},
      {"7.4109846876186981626e-324", 0x1p-1074},
      {"7.4109846876186981627e-324", 0x1p-1073},
      {"1.7976931348623158e308", 0x1.fffffffffffffp1023},
      {"0.000000000000000000000000000001e+30", 1.0},
      {"1000000000000000000000000000000e-30", 1.0},
      {"123456789012345678901234567890e-40", 0x1.b25ffd636ec12p-37},
      {"-0.0", -0.0},
      {"-0", -0.0},
      {"-0e9", -0.0},
      {"-1e-400", -0.0},
      {"0e99999999999999999999", 0.0},
      {"1e-99999999999999999999", 0.0},
      {"1E2", 100.0},
      {"1e+2", 100.0},
      {"1.5e-0", 1.5},
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    ok(same_bits(parsed(cases[i].text).real, cases[i].value), "%s is %a (%a)", cases[i].text, cases[i].value,
       parsed(cases[i].text).real);
}

/* `head`, so many zeros, and `tail`; valid until the next call. */
static const char *with_zeros(const char *head, size_t zeros, const char *tail) {
  static char text[2048];
  size_t size = strlen(head);
  memcpy(text, head, size);
  memset(text + size, '0', zeros);
  memcpy(text + size + zeros, tail, strlen(tail) + 1);
  return text;
}

static void test_long_texts(void) {
  ok(parsed(with_zeros("1", 400, "e-400")).real == 1.0,
     "a one with 400 zeros, less 400 in the exponent, is 1.0");
  ok(parsed(with_zeros("0.", 400, "1e401")).real == 1.0, "400 zeros behind the point are made up by e401");
  ok(parsed(with_zeros("0.", 400, "1")).real == 0.0, "400 zeros behind the point are too small for a double");
  const char *halfway = "1.00000000000000011102230246251565404236316680908203125";
  ok(parsed(with_zeros(halfway, 1500, "")).real == 1.0, "a point halfway with 1500 zeros behind it is a tie");
  ok(parsed(with_zeros(halfway, 1500, "1")).real == 0x1.0000000000001p0,
     "a 1 that follows them breaks the tie");
}

/* A point halfway between two doubles has up to 768 digits. A long double holds it, printf prints them. */
static void test_halfway_points(void) {
  unsigned ties = 0, above = 0, below = 0;
  char text[900];
  for (int i = 0; i < 5000; i++) {
    uint64_t bits = random_bits() % 0x7FEFFFFFFFFFFFFF >> (i % 4 == 0 ? random_bits() % 64 : 0);
    double lower = double_of(bits), upper = double_of(bits + 1);
    long double halfway = ((long double)lower + (long double)upper) / 2;
    snprintf(text, sizeof text, "%.800Le", halfway);
    ties += !same_bits(parsed(text).real, bits % 2 == 0 ? lower : upper);
    char *exponent = strchr(text, 'e');
    memmove(exponent + 1, exponent, strlen(exponent) + 1);
    *exponent = '1';
    above += !same_bits(parsed(text).real, upper);
    snprintf(text, sizeof text, "%.800Le", halfway - halfway * 0x1p-63L);
    below += !same_bits(parsed(text).real, lower);
  }
  ok(ties == 0, "of two doubles a point halfway reads as the even one");
  ok(above == 0, "one more digit in the 802nd place makes it the upper one");
  ok(below == 0, "2^-63 of it less makes it the lower one");
}

static void test_kinds(void) {
  static const struct {
    const char *text;
    size_t taken;
    number_kind kind;
    int64_t integer;
  } cases[] = {
      {"", 0, NUMBER_BAD, 0},
      {"-", 0, NUMBER_BAD, 0},
      {"+1", 0, NUMBER_BAD, 0},
      {".5", 0, NUMBER_BAD, 0},
      {"-a", 0, NUMBER_BAD, 0},
      {"NaN", 0, NUMBER_BAD, 0},
      {"Infinity", 0, NUMBER_BAD, 0},
      {"0", 1, NUMBER_INTEGER, 0},
      {"01", 1, NUMBER_INTEGER, 0},
      {"-01", 2, NUMBER_FLOAT, 0},
      {"0x10", 1, NUMBER_INTEGER, 0},
      {"7,", 1, NUMBER_INTEGER, 7},
      {"1.", 1, NUMBER_INTEGER, 1},
      {"1.e5", 1, NUMBER_INTEGER, 1},
      {"1..2", 1, NUMBER_INTEGER, 1},
      {"1e", 1, NUMBER_INTEGER, 1},
      {"1e+", 1, NUMBER_INTEGER, 1},
      {"1e-x", 1, NUMBER_INTEGER, 1},
      {"1.5e", 3, NUMBER_FLOAT, 0},
      {"1.5e+3]", 6, NUMBER_FLOAT, 0},
      {"12345678", 8, NUMBER_INTEGER, 12345678},
      {"-1234567890123456", 17, NUMBER_INTEGER, -1234567890123456},
      {"9223372036854775807", 19, NUMBER_INTEGER, INT64_MAX},
      {"9223372036854775808", 19, NUMBER_BIG, 0},
      {"-9223372036854775808", 20, NUMBER_INTEGER, INT64_MIN},
      {"-9223372036854775809", 20, NUMBER_BIG, 0},
      {"18446744073709551616", 20, NUMBER_BIG, 0},
      {"18446744073709551617", 20, NUMBER_BIG, 0},
      {"100000000000000000000000000000000000000000", 42, NUMBER_BIG, 0},
      {"1e400", 5, NUMBER_HUGE, 0},
      {"-1e400", 6, NUMBER_HUGE, 0},
      {"1.7976931348623159e308", 22, NUMBER_HUGE, 0},
      {"1e18446744073709551617", 22, NUMBER_HUGE, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    number result;
    size_t taken = number_parse(cases[i].text, strlen(cases[i].text), &result);
    ok(taken == cases[i].taken && result.kind == cases[i].kind && result.integer == cases[i].integer,
       "of '%s' %zu bytes are taken, as kind %d", cases[i].text, cases[i].taken, (int)cases[i].kind);
  }
  ok(parsed("9223372036854775808").real == 0x1p63, "an integer beyond 64 bits has its nearest double");
  ok(parsed("-18446744073709551617").real == -0x1p64, "a negative one too");
  ok(isinf(parsed(with_zeros("1", 400, "")).real), "that of an integer beyond all doubles is infinite");
}

static void test_only_the_given_bytes_are_read(void) {
  const char *text = "-12345678.25e-10";
  bool all = true;
  for (size_t size = 0; size <= strlen(text); size++) {
    char copy[32];
    number alone, followed;
    memcpy(copy, text, size);
    copy[size] = ' ';
    size_t taken_alone = number_parse(copy, size + 1, &alone);
    copy[size] = '9';
    size_t taken = number_parse(copy, size, &followed);
    all = all && taken == taken_alone && followed.kind == alone.kind && followed.integer == alone.integer;
    all = all && same_bits(followed.real, alone.real);
  }
  ok(all, "a digit behind the given size is not part of the number");
}

static void test_digits_end_at_any_other_byte(void) {
  unsigned wrong = 0;
  for (size_t at = 1; at < 9; at++)
    for (int byte = 0; byte < 256; byte++) {
      char text[] = "1234567890";
      number result;
      if (strchr("0123456789.eE", byte) != NULL && byte != 0) continue;
      text[at] = (char)byte;
      wrong += number_parse(text, strlen("1234567890"), &result) != at;
    }
  ok(wrong == 0, "a run of digits ends at any byte that is none");
}

static bool integer_prints(int64_t value) {
  char ours[NUMBER_INTEGER_SIZE + 1], theirs[32];
  ours[number_print_integer(ours, value)] = '\0';
  snprintf(theirs, sizeof theirs, "%lld", (long long)value);
  number back = parsed(ours);
  return strcmp(ours, theirs) == 0 && back.kind == NUMBER_INTEGER && back.integer == value;
}

static bool unsigned_prints(uint64_t value) {
  char ours[NUMBER_INTEGER_SIZE + 1], theirs[32];
  ours[number_print_unsigned(ours, value)] = '\0';
  snprintf(theirs, sizeof theirs, "%llu", (unsigned long long)value);
  return strcmp(ours, theirs) == 0;
}

static void test_integers(void) {
  bool edges =
      integer_prints(0) && integer_prints(INT64_MIN) && integer_prints(INT64_MAX) && integer_prints(-1);
  edges = edges && unsigned_prints(0) && unsigned_prints(UINT64_MAX);
  ok(edges, "the least and the greatest integers print and read back");
  unsigned wrong = 0;
  uint64_t power = 1;
  for (int digits = 1; digits <= 20; digits++, power *= 10)
    for (int off = -1; off <= 1; off++) wrong += !unsigned_prints(power + (uint64_t)(int64_t)off);
  ok(wrong == 0, "the integers around each power of ten print");
  for (int i = 0; i < 500000; i++) {
    uint64_t value = random_bits() >> (random_bits() % 64);
    wrong += !unsigned_prints(value) || !integer_prints((int64_t)value);
  }
  ok(wrong == 0, "half a million random integers of all sizes print and read back");
}

/* Any finite double, and doubles as they come in data: small integers and decimal fractions. */
static double random_double(void) {
  uint64_t bits = random_bits();
  if (bits % 4 == 0) return (double)(random_bits() % 100000000) / 1000;
  if (bits % 4 == 1) return (double)(int64_t)random_bits() * 0x1p-63;
  do bits = random_bits();
  while (!isfinite(double_of(bits)));
  return double_of(bits);
}

static void test_random_floats(void) {
  unsigned long unread = 0, strange = 0, misread = 0;
  char digits[40];
  for (int i = 0; i < 2000000; i++) {
    double value = random_double();
    const char *text = float_text(value);
    number result = parsed(text);
    unread += result.kind != NUMBER_FLOAT || !same_bits(result.real, value);
    strange += !same_bits(strtod(text, NULL), value);
    snprintf(digits, sizeof digits, "%.17g", value);
    number from_seventeen = parsed(digits);
    double real =
        from_seventeen.kind == NUMBER_INTEGER ? (double)from_seventeen.integer : from_seventeen.real;
    misread += !same_bits(real, value);
  }
  ok(unread == 0, "two million doubles read back as they were printed");
  ok(strange == 0, "strtod reads them alike");
  ok(misread == 0, "their seventeen digits from printf read as the same doubles");
}

static int significant_digits(const char *text) {
  int count = 0, zeros = 0;
  for (; *text != '\0' && *text != 'e'; text++) {
    if (*text < '0' || *text > '9' || (count == 0 && *text == '0')) continue;
    zeros = *text == '0' ? zeros + 1 : 0;
    count++;
  }
  return count - zeros;
}

/* That as many digits can't be fewer, and that no other text of so many digits is nearer. */
static bool is_shortest(double value) {
  char ours[NUMBER_FLOAT_SIZE + 1], text[40];
  ours[number_print_float(ours, value)] = '\0';
  int count = significant_digits(ours);
  snprintf(text, sizeof text, "%.*e", count > 1 ? count - 2 : 0, value);
  if (count > 1 && strtod(text, NULL) == value) return false;
  snprintf(text, sizeof text, "%.*e", count > 1 ? count - 1 : 0, value);
  if (strtod(text, NULL) == value) return strtold(text, NULL) == strtold(ours, NULL);
  return strtod(ours, NULL) == value;
}

static void test_floats_are_shortest(void) {
  unsigned wrong = 0;
  for (int i = 0; i < 200000; i++) wrong += !is_shortest(random_double());
  ok(wrong == 0, "200,000 random doubles print with the fewest digits and the nearest of these");
  for (uint64_t bits = 1; bits <= 2000; bits++) wrong += !is_shortest(double_of(bits));
  ok(wrong == 0, "so do the smallest doubles");
  for (uint64_t biased = 1; biased < 2047; biased++)
    for (int off = -1; off <= 1; off++)
      wrong += !is_shortest(double_of((biased << 52) + (uint64_t)(int64_t)off));
  ok(wrong == 0, "so do the powers of two and their neighbours");
}

static void test_random_texts(void) {
  unsigned wrong = 0;
  char text[128];
  for (int i = 0; i < 300000; i++) {
    int exponent = (int)(random_bits() % 700) - 360, places = 1 + (int)(random_bits() % 18);
    uint64_t whole = random_bits() >> (random_bits() % 64), fraction = random_bits() >> 8;
    snprintf(text, sizeof text, "%llu.%0*llu%llue%d", (unsigned long long)whole, places,
             (unsigned long long)fraction, (unsigned long long)random_bits(), exponent);
    number result = parsed(text);
    double real = strtod(text, NULL);
    wrong += !same_bits(result.real, real) || result.kind != (isinf(real) ? NUMBER_HUGE : NUMBER_FLOAT);
  }
  ok(wrong == 0, "300,000 texts of up to 60 digits with exponents of all sizes read as strtod reads them");
}

int main(void) {
  test_floats_print_as_in_python();
  test_texts_read_as_the_nearest_double();
  test_long_texts();
  test_halfway_points();
  test_kinds();
  test_only_the_given_bytes_are_read();
  test_digits_end_at_any_other_byte();
  test_integers();
  test_random_floats();
  test_floats_are_shortest();
  test_random_texts();
  return done_testing();
}
