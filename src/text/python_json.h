/*
** python_json.h - an object of a JSON text, printed as Python's json.dumps(sort_keys=True) prints it.
**
** Reads what Python's json.loads reads: NaN, Infinity and -Infinity are numbers, and of members with one name
** the last counts. Pure functions over the caller's memory; safe from any thread.
*/
#ifndef VIPERDB_PYTHON_JSON_H
#define VIPERDB_PYTHON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define PYTHON_MAX_DEPTH 32 /* containers inside each other, the outermost included */

typedef enum python_kind {
  PYTHON_BAD,
  PYTHON_STRING,
  PYTHON_INTEGER,  /* of any size */
  PYTHON_FLOAT,    /* finite */
  PYTHON_INFINITY, /* spelled out */
  PYTHON_NO_FLOAT, /* NaN, or beyond the doubles as 1e400, which Python prints as Infinity */
  PYTHON_BOOLEAN,
  PYTHON_NULL,
  PYTHON_CONTAINER
} python_kind;

/* A member of an object: both texts as they are printed, the name with its quotes. */
typedef struct python_member {
  const char *name, *value;
  uint32_t name_size, value_size;
  python_kind kind;
} python_member;

typedef struct python_reader {
  const char *at, *end;   /* what is left of the text */
  char *out;              /* end of what is printed */
  python_member *members; /* end of the members of the objects that are being read */
  int depth;
  bool too_deep;
} python_reader;

/* Bytes of memory that reading a text of this size takes at most: a constant factor of it. */
size_t python_memory(size_t size);

/* `memory` is aligned as malloc aligns it, and holds what is read. The text has fewer than 2^28 bytes. */
void python_begin(python_reader *in, const char *text, size_t size, void *memory);

/*
** Reads the object that is the whole text. Its members, sorted by name and each name once, stand from where
** in->members was to where it is then. False: this is no JSON object, or (in->too_deep) one nested too deep.
*/
bool python_read_object(python_reader *in);

/* Prints an object of the members from `first` to in->members, and moves in->out to its end. */
void python_put_object(python_reader *in, const python_member *first);

#pragma GCC visibility pop

#endif
