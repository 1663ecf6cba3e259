/*
** index.h - the shared hash index (db.index): which line of the key log is a key's newest.
**
** The index holds no keys, only 40 bits of each key's hash and where its newest line is. So a lookup yields
** candidates, and the caller compares the key in the line. It is derived data: deleted while nobody has the store
** open, it is made again from the key log. index.c holds the layout and the argument why readers need no lock.
**
** Reading calls may be made at any time, by any number of processes. Writing calls are made under the writers'
** lock. A hash_index belongs to one store handle.
*/
#ifndef VIPERDB_INDEX_H
#define VIPERDB_INDEX_H

#include <stdatomic.h>

#include "os.h"
#include "viperdb.h"

#pragma GCC visibility push(hidden)

typedef struct index_slot {
  _Atomic uint64_t line;  /* offset of the line + 1 (48 bits), 16 bits of the hash; 0 for an empty slot */
  _Atomic uint64_t value; /* offset of the value (its low 40 bits), 24 bits of the hash: a hint */
} index_slot;

typedef struct hash_index {
  int file;         /* -1 when not open */
  const char *name; /* for messages */
  char *base;       /* mapping of [0, mapped); may reach beyond the file's end */
  size_t mapped;
  uint64_t file_size; /* bytes of the file as last asked: no page behind is touched */
  bool readonly;
  uint64_t seed[2];
} hash_index;

/* Where a lookup stands. */
typedef struct index_probe {
  char *segment;
  index_slot *slot; /* the candidate; after the last one the empty slot that ended the search, or NULL */
  uint64_t hash;
  uint64_t changes;
  uint32_t position;
  uint32_t left;
} index_probe;

void index_init(hash_index *index, const char *name);

/* Makes an empty index under `name` in the folder (replacing what is there), or in memory when folder is -1. */
vdb_status index_create(hash_index *index, int folder, uint64_t generation, vdb_error *error);

/*
** Opens the index of this generation. VDB_ABSENT: there is none, or it isn't one that this engine can use, or
** of another generation.
*/
vdb_status index_open(hash_index *index, int folder, bool readonly, uint64_t generation, vdb_error *error);

/* Unmaps and closes; a closed index is fine. */
void index_close(hash_index *index);

/* 40 bits of the key text's hash, seeded per index. */
uint64_t index_hash(const hash_index *index, const char *key, size_t size);

/* Starts a lookup. VDB_CORRUPT: the index points outside of itself. */
vdb_status index_seek(hash_index *index, uint64_t hash, index_probe *probe, vdb_error *error);

/* The next candidate's line, and a hint where its value starts. False: there are no more. */
bool index_next(index_probe *probe, uint64_t *line, uint64_t *value);

/* Whether no segment was split since index_seek: only then is what the lookup found, or missed, to be believed. */
bool index_unchanged(const hash_index *index, const index_probe *probe);

/* Brings near what a lookup of this hash will touch. */
void index_fetch(hash_index *index, uint64_t hash);

/* Whether the index names this line for the hash. Only a yes is to be believed. */
bool index_names(hash_index *index, uint64_t hash, uint64_t line);

/* Asks for the file's size again. */
vdb_status index_measure_file(hash_index *index, vdb_error *error);

/* How many bytes of the file are in use; others may follow. Not to be trusted. */
uint64_t index_length(const hash_index *index);

/* Writing calls. */

/* Makes sure that a new key with this hash finds a free slot; splits a segment when it is crowded. Moves slots. */
vdb_status index_make_room(hash_index *index, uint64_t hash, vdb_error *error);

/* Makes the file long enough for the splits that this many new keys can be expected to need. */
vdb_status index_reserve(hash_index *index, size_t keys, vdb_error *error);

/* Points the probe's slot (a candidate, or the empty one that ended the search) at a line. */
void index_publish(hash_index *index, index_probe *probe, uint64_t line, uint64_t value);

/* Finishes a split that a dead writer began. */
vdb_status index_repair(hash_index *index, vdb_error *error);

/* Counts the slots in use of a key's segment again: a writer may have died before it counted its own. */
void index_recount(hash_index *index, const index_probe *probe);

/* Calls `visit` with the line of each slot in use, until it returns false. */
vdb_status index_each(hash_index *index, bool (*visit)(void *context, uint64_t line), void *context,
                      vdb_error *error);

vdb_status index_sync(hash_index *index, vdb_error *error);

typedef struct index_size {
  uint64_t bytes; /* length of the file */
  uint64_t used;  /* slots in use */
  uint64_t slots; /* slots that segments in use have */
} index_size;
void index_measure(hash_index *index, index_size *size);

#pragma GCC visibility pop

#endif
