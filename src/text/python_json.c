/*
** python_json.c - an object of a JSON text, printed as Python prints it.
**
** Each value is printed to the end of `out` as it is read. An object's members are sorted at its }:
**
**   text  [{"b":[1,1e1],"a":"\u0041"}]
**   out   ["b"[1, 10.0]"a""A"                             names and values, each known to a member
**   out   ["b"[1, 10.0]"a""A"{"a": "A", "b": [1, 10.0]}   joined behind them
**   out   [{"a": "A", "b": [1, 10.0]}                     and moved over them
**
** - Names are sorted by code points, not by their escapes. A float prints as repr, an integer keeps its
**   digits.
** - A hostile text can't go far: recursion ends at PYTHON_MAX_DEPTH, and what it needs at most is known
**   before, since every byte of it prints as a few bytes and a member takes a few bytes.
*/
#include "python_json.h"

#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "number.h"
#include "utf8.h"

/* What a byte of the text becomes at most: 0x7F prints as \u007f; 1e15 with its 18 bytes comes next. */
#define MOST_PRINTED 6

/* A member takes at least `"":`, and the brace or comma before it. */
#define LEAST_MEMBER 4

static size_t member_memory(size_t size) {
  return (size / LEAST_MEMBER + 1) * sizeof(python_member);
}

/* Room for the members, then for what is printed: twice the most, in pieces and joined from them. */
size_t python_memory(size_t size) {
  return member_memory(size) + 2 * MOST_PRINTED * size + NUMBER_FLOAT_SIZE;
}

void python_begin(python_reader *in, const char *text, size_t size, void *memory) {
  *in = (python_reader){.at = text, .end = text + size, .members = memory};
  in->out = (char *)memory + member_memory(size);
}

static void put(python_reader *in, const char *bytes, size_t size) {
  memcpy(in->out, bytes, size);
  in->out += size;
}

static size_t left(const python_reader *in) {
  return (size_t)(in->end - in->at);
}

static void skip_space(python_reader *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\r' || *in->at == '\n'))
    in->at++;
}

/* Steps over the character, and over the space around it, if it comes next. */
static bool take(python_reader *in, char c) {
  skip_space(in);
  if (in->at == in->end || *in->at != c) return false;
  in->at++;
  skip_space(in);
  return true;
}

static python_kind print_string(python_reader *in) {
  *in->out++ = '"';
  in->at++;
  for (;;) {
    size_t run = utf8_plain_run(in->at, left(in));
    put(in, in->at, run);
    in->at += run;
    if (in->at == in->end || (unsigned char)*in->at < ' ') return PYTHON_BAD;
    if (*in->at == '"') break;
    uint32_t code_point;
    size_t length = *in->at == '\\' ? escape_read(in->at, left(in), &code_point)
                                    : utf8_decode(in->at, left(in), &code_point);
    if (length == 0) return PYTHON_BAD;
    in->at += length;
    in->out = escape_print(in->out, code_point);
  }
  *in->out++ = '"';
  in->at++;
  return PYTHON_STRING;
}

static python_kind put_word(python_reader *in, const char *word, python_kind kind) {
  put(in, word, strlen(word));
  return kind;
}

static python_kind print_word(python_reader *in, const char *word, python_kind kind) {
  size_t size = strlen(word);
  if (left(in) < size || memcmp(in->at, word, size) != 0) return PYTHON_BAD;
  in->at += size;
  return put_word(in, word, kind);
}

static python_kind print_number(python_reader *in) {
  number parsed;
  const char *text = in->at;
  size_t size = number_parse(text, left(in), &parsed);
  in->at += size;
  switch (parsed.kind) {
  case NUMBER_INTEGER:
  case NUMBER_BIG: put(in, text, size); return PYTHON_INTEGER;
  case NUMBER_FLOAT: break;
  case NUMBER_HUGE: return put_word(in, *text == '-' ? "-Infinity" : "Infinity", PYTHON_NO_FLOAT);
  case NUMBER_BAD: return PYTHON_BAD;
  }
  if (size == 2 && memcmp(text, "-0", 2) == 0) return put_word(in, "0", PYTHON_INTEGER);
  in->out += number_print_float(in->out, parsed.real);
  return PYTHON_FLOAT;
}

static python_kind print_value(python_reader *in);

/* Pushes the members of the object that begins here and leaves them in the text's order. */
static bool push_members(python_reader *in) {
  in->at++;
  if (take(in, '}')) return true;
  do {
    python_member *member = in->members++;
    member->name = in->out;
    skip_space(in);
    if (in->at == in->end || *in->at != '"' || print_string(in) == PYTHON_BAD) return false;
    member->name_size = (uint32_t)(in->out - member->name);
    if (!take(in, ':')) return false;
    member->value = in->out;
    member->kind = print_value(in);
    if (member->kind == PYTHON_BAD) return false;
    member->value_size = (uint32_t)(in->out - member->value);
  } while (take(in, ','));
  return take(in, '}');
}

/* Of a printed name, so its escapes are whole. */
static uint32_t next_code_point(const char **at, const char *end) {
  if (**at != '\\') return (unsigned char)*(*at)++;
  uint32_t code_point = 0;
  *at += escape_read(*at, (size_t)(end - *at), &code_point);
  return code_point;
}

/* The order of the code points; members with one name stay in the text's order. */
static int compare_members(const void *one, const void *other) {
  const python_member *a = one, *b = other;
  const char *x = a->name + 1, *x_end = a->name + a->name_size - 1;
  const char *y = b->name + 1, *y_end = b->name + b->name_size - 1;
  while (x < x_end && y < y_end) {
    uint32_t c = next_code_point(&x, x_end), d = next_code_point(&y, y_end);
    if (c != d) return c < d ? -1 : 1;
  }
  if (x < x_end || y < y_end) return x < x_end ? 1 : -1;
  return a->name < b->name ? -1 : a->name > b->name;
}

static bool same_name(const python_member *a, const python_member *b) {
  return a->name_size == b->name_size && memcmp(a->name, b->name, a->name_size) == 0;
}

/* Sorts the members from `first` on and drops all but the last of each name. */
static void sort_members(python_reader *in, python_member *first) {
  size_t count = (size_t)(in->members - first);
  if (count < 2) return;
  qsort(first, count, sizeof *first, compare_members);
  in->members = first;
  for (size_t i = 0; i < count; i++)
    if (i + 1 == count || !same_name(&first[i], &first[i + 1])) *in->members++ = first[i];
}

void python_put_object(python_reader *in, const python_member *first) {
  *in->out++ = '{';
  for (const python_member *member = first; member < in->members; member++) {
    if (member > first) put(in, ", ", 2);
    put(in, member->name, member->name_size);
    put(in, ": ", 2);
    put(in, member->value, member->value_size);
  }
  *in->out++ = '}';
}

static python_kind print_object(python_reader *in) {
  python_member *first = in->members;
  char *pieces = in->out;
  if (!push_members(in)) return PYTHON_BAD;
  sort_members(in, first);
  char *joined = in->out;
  python_put_object(in, first);
  memmove(pieces, joined, (size_t)(in->out - joined));
  in->out = pieces + (in->out - joined);
  in->members = first;
  return PYTHON_CONTAINER;
}

static python_kind print_array(python_reader *in) {
  in->at++;
  *in->out++ = '[';
  for (bool first = true; !take(in, ']'); first = false) {
    if (!first && !take(in, ',')) return PYTHON_BAD;
    if (!first) put(in, ", ", 2);
    if (print_value(in) == PYTHON_BAD) return PYTHON_BAD;
  }
  *in->out++ = ']';
  return PYTHON_CONTAINER;
}

static python_kind print_container(python_reader *in) {
  if (in->depth == PYTHON_MAX_DEPTH) {
    in->too_deep = true;
    return PYTHON_BAD;
  }
  in->depth++;
  python_kind kind = *in->at == '{' ? print_object(in) : print_array(in);
  in->depth--;
  return kind;
}

static python_kind print_value(python_reader *in) {
  if (in->at == in->end) return PYTHON_BAD;
  switch (*in->at) {
  case '"': return print_string(in);
  case '{':
  case '[': return print_container(in);
  case 't': return print_word(in, "true", PYTHON_BOOLEAN);
  case 'f': return print_word(in, "false", PYTHON_BOOLEAN);
  case 'n': return print_word(in, "null", PYTHON_NULL);
  case 'N': return print_word(in, "NaN", PYTHON_NO_FLOAT);
  case 'I': return print_word(in, "Infinity", PYTHON_INFINITY);
  case '-':
    if (left(in) > 1 && in->at[1] == 'I') return print_word(in, "-Infinity", PYTHON_INFINITY);
    break;
  }
  return print_number(in);
}

bool python_read_object(python_reader *in) {
  python_member *first = in->members;
  skip_space(in);
  if (in->at == in->end || *in->at != '{') return false;
  in->depth = 1;
  if (!push_members(in) || in->at < in->end) return false;
  sort_members(in, first);
  return true;
}
