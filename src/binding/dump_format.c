/*
** dump_format.c - the order of keys in a dump.
*/
#include "dump_format.h"

#include <string.h>

bool dump_is_whole(double real) {
  return real >= -9223372036854775808.0 && real < 9223372036854775808.0 && (double)(int64_t)real == real;
}

static int rank_of(const vdb_key *key) {
  static const int ranks[] = {[VDB_BOOLEAN] = 0, [VDB_INTEGER] = 1, [VDB_FLOAT] = 2, [VDB_STRING] = 3};
  return ranks[key->type];
}

static int compare_strings(const vdb_key *a, const vdb_key *b) {
  size_t common = a->size < b->size ? a->size : b->size;
  int order = common > 0 ? memcmp(a->string, b->string, common) : 0;
  return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

int dump_compare_keys(const void *one, const void *other) {
  const vdb_key *a = one, *b = other;
  if (a->type != b->type) return rank_of(a) - rank_of(b);
  switch (a->type) {
  case VDB_STRING: return compare_strings(a, b);
  case VDB_FLOAT: return (a->number > b->number) - (a->number < b->number);
  default: return (a->integer > b->integer) - (a->integer < b->integer);
  }
}
