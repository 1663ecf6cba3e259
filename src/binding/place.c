/*
** place.c - where in a value something stands, for messages.
*/
#include "place.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../text/number.h"
#include "key.h"

#define ROOM_FOR_DOTS 4 /* "..." and the terminator */

typedef struct text {
  char *bytes;
  size_t size;
  bool full;
} text;

/* All of the bytes, or three dots and nothing from then on. */
static void append(text *t, const char *bytes, size_t size) {
  if (t->full) return;
  t->full = size > PLACE_SIZE - ROOM_FOR_DOTS - t->size;
  if (t->full) {
    bytes = "...";
    size = 3;
  }
  memcpy(t->bytes + t->size, bytes, size);
  t->size += size;
  t->bytes[t->size] = '\0';
}

static void append_text(text *t, const char *string) {
  append(t, string, strlen(string));
}

static void append_quoted(text *t, const char *bytes, size_t size) {
  append_text(t, "\"");
  for (size_t i = 0; i < size && !t->full; i++) {
    unsigned char c = (unsigned char)bytes[i];
    char escape[5] = {'\\', (char)c, '\0'};
    if (c < ' ' || c > '~') snprintf(escape, sizeof escape, "\\%03u", c);
    if (c == '"' || c == '\\' || c < ' ' || c > '~') append_text(t, escape);
    else append(t, bytes + i, 1);
  }
  append_text(t, "\"");
}

static bool is_name(const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    char c = bytes[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return size > 0;
}

static void append_number(text *t, const vdb_key *key) {
  char digits[NUMBER_FLOAT_SIZE];
  bool whole = key->type == VDB_FLOAT && key_is_whole(key->number);
  int64_t integer = whole ? (int64_t)key->number : key->integer;
  if (whole || key->type == VDB_INTEGER) append(t, digits, number_print_integer(digits, integer));
  else if (isfinite(key->number)) append(t, digits, number_print_float(digits, key->number));
  else append_text(t, key->number > 0 ? "math.huge" : "-math.huge");
}

static void append_key(text *t, const vdb_key *key) {
  bool is_string = key->type == VDB_STRING;
  if (is_string && is_name(key->string, key->size)) {
    append_text(t, ".");
    append(t, key->string, key->size);
    return;
  }
  append_text(t, "[");
  if (is_string) append_quoted(t, key->string, key->size);
  else if (key->type == VDB_BOOLEAN) append_text(t, key->integer != 0 ? "true" : "false");
  else append_number(t, key);
  append_text(t, "]");
}

/* From the outermost level in; there are as many as levels of nesting. */
static void append_place(lua_State *L, const place *at, text *t) {
  vdb_key key = vdb_integer(at->number);
  if (at->outer != NULL) append_place(L, at->outer, t);
  switch (at->kind) {
  case PLACE_DUMPED: append_text(t, ":dump()"); return;
  case PLACE_FIELD: key_read(L, at->number, &key); break;
  case PLACE_ITEM: break;
  }
  append_key(t, &key);
}

const char *place_print(lua_State *L, const place *at, char *out) {
  text t = {.bytes = out};
  append_text(&t, "value");
  if (at != NULL) append_place(L, at, &t);
  return out;
}

const char *place_quote(const char *bytes, size_t size, char *out) {
  text t = {.bytes = out};
  append_quoted(&t, bytes, size);
  return out;
}
