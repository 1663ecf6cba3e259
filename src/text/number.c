/*
** number.c - numbers to decimal text and back.
*/
#include "number.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t number_print_unsigned(char *out, uint64_t value) {
  char digits[NUMBER_INTEGER_SIZE];
  size_t count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  for (size_t i = 0; i < count; i++) out[i] = digits[count - 1 - i];
  return count;
}

size_t number_print_integer(char *out, int64_t value) {
  if (value >= 0) return number_print_unsigned(out, (uint64_t)value);
  *out = '-';
  return 1 + number_print_unsigned(out + 1, 0 - (uint64_t)value);
}

size_t number_print_float(char *out, double value) {
  char text[40], digits[20];
  for (int precision = 0; precision <= 16; precision++) {
    snprintf(text, sizeof text, "%.*e", precision, fabs(value));
    if (strtod(text, NULL) == fabs(value)) break;
  }
  int count = 0, exponent = atoi(strchr(text, 'e') + 1);
  for (const char *p = text; *p != 'e'; p++)
    if (*p >= '0' && *p <= '9') digits[count++] = *p;
  while (count > 1 && digits[count - 1] == '0') count--;
  char *start = out;
  if (signbit(value)) *out++ = '-';
  if (exponent >= -4 && exponent < 16) {
    if (exponent < 0) {
      *out++ = '0';
      *out++ = '.';
      for (int i = -1; i > exponent; i--) *out++ = '0';
      for (int i = 0; i < count; i++) *out++ = digits[i];
    } else {
      for (int i = 0; i <= exponent; i++) *out++ = i < count ? digits[i] : '0';
      *out++ = '.';
      if (count <= exponent + 1) *out++ = '0';
      for (int i = exponent + 1; i < count; i++) *out++ = digits[i];
    }
  } else {
    *out++ = digits[0];
    if (count > 1) *out++ = '.';
    for (int i = 1; i < count; i++) *out++ = digits[i];
    char tail[8];
    int length = snprintf(tail, sizeof tail, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    memcpy(out, tail, (size_t)length);
    out += length;
  }
  return (size_t)(out - start);
}

static size_t skip_digits(const char *text, size_t size, size_t at) {
  while (at < size && text[at] >= '0' && text[at] <= '9') at++;
  return at;
}

size_t number_parse(const char *text, size_t size, number *out) {
  bool negative = size > 0 && text[0] == '-', whole = true;
  size_t first = negative, end = first;
  *out = (number){.kind = NUMBER_BAD};
  if (end < size && text[end] == '0') end++;
  else end = skip_digits(text, size, end);
  if (end == first) return 0;
  if (end + 1 < size && text[end] == '.') {
    size_t next = skip_digits(text, size, end + 1);
    if (next > end + 1) end = next, whole = false;
  }
  if (end < size && (text[end] == 'e' || text[end] == 'E')) {
    size_t from = end + 1;
    if (from < size && (text[from] == '+' || text[from] == '-')) from++;
    size_t next = skip_digits(text, size, from);
    if (next > from) end = next, whole = false;
  }
  char *copy = malloc(end + 1);
  if (copy == NULL) return 0;
  memcpy(copy, text, end);
  copy[end] = '\0';
  out->real = strtod(copy, NULL);
  free(copy);
  out->kind = isinf(out->real) && !whole ? NUMBER_HUGE : NUMBER_FLOAT;
  if (!whole || (negative && text[1] == '0')) return end;
  uint64_t value = 0, limit = (uint64_t)INT64_MAX + negative;
  out->kind = NUMBER_INTEGER;
  for (size_t i = first; i < end; i++) {
    uint64_t digit = (uint64_t)(text[i] - '0');
    if (value > (limit - digit) / 10) {
      out->kind = NUMBER_BIG;
      return end;
    }
    value = value * 10 + digit;
  }
  out->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
  return end;
}
