/*
** index_layout.h - what the two halves of the index share: the layout of its file, and finding places in it.
**
** index.c holds the diagram. Only index.c and index_split.c include this.
*/
#ifndef VIPERDB_INDEX_LAYOUT_H
#define VIPERDB_INDEX_LAYOUT_H

#include "index.h"

#pragma GCC visibility push(hidden)

/* Small blocks in test builds make splits and doublings happen all the time. */
#ifndef INDEX_BLOCK
#define INDEX_BLOCK 65536u
#define INDEX_FIRST_DEPTH 13u /* the directory in block 0 fills its second half */
#endif

#define MAGIC "ViperIx\n"
#define VERSION 1
#define HEAD_SLOTS 4u /* the segment's head takes the room of these */
#define SLOTS (INDEX_BLOCK / 16 - HEAD_SLOTS)
#define CROWDED (SLOTS * 4 / 5)
#define PLACE_BITS 28u
#define HOME_BITS 12u
#define GROW_BLOCKS 4u

typedef struct split_intent {
  _Atomic uint32_t active;
  uint32_t old, low, high; /* blocks */
} split_intent;

typedef struct index_header {
  char magic[8];
  uint32_t version;
  uint32_t block; /* INDEX_BLOCK */
  uint64_t generation;
  uint64_t seed[2];
  _Atomic uint64_t directory; /* first block << 8 | depth */
  _Atomic uint64_t changes;   /* counts directory changes */
  _Atomic uint64_t blocks;    /* blocks taken; more may be in the file */
  _Atomic uint64_t used;      /* slots in use */
  _Atomic uint64_t segments;
  _Atomic uint32_t spare; /* a segment that a split left behind, 0 for none */
  split_intent split;
} index_header;

typedef struct segment_head {
  uint32_t depth;
  uint32_t prefix; /* the top `depth` bits of every place in it */
  _Atomic uint32_t used;
} segment_head;

_Static_assert(sizeof(index_header) <= INDEX_BLOCK / 2, "the header leaves room for the first directory");
_Static_assert(sizeof(segment_head) <= HEAD_SLOTS * sizeof(index_slot),
               "a head takes the room of some slots");

static inline index_header *header_of(const hash_index *index) {
  return (index_header *)index->base;
}

static inline char *block_at(const hash_index *index, uint64_t block) {
  return index->base + block * INDEX_BLOCK;
}

/* Where the directory is. */
typedef struct directory_place {
  uint64_t start; /* byte in the file */
  uint32_t depth;
} directory_place;

static inline _Atomic uint32_t *entries_of(const hash_index *index, const directory_place *directory) {
  return (_Atomic uint32_t *)(index->base + directory->start);
}

static inline uint32_t place_of(uint64_t hash) {
  return (uint32_t)(hash >> HOME_BITS);
}

#define LINE_MASK ((UINT64_C(1) << 48) - 1)
#define VALUE_MASK ((UINT64_C(1) << 40) - 1)

static inline uint64_t line_tag(uint64_t hash) {
  return (uint64_t)(place_of(hash) & 0xffff) << 48;
}

static inline uint64_t value_tag(uint64_t hash) {
  uint64_t home = hash & ((1u << HOME_BITS) - 1);
  return (home << 12 | place_of(hash) >> 16) << 40;
}

static inline uint64_t hash_of(uint64_t line, uint64_t value) {
  uint64_t tag = value >> 40;
  uint64_t place = (tag & 0xfff) << 16 | line >> 48;
  return place << HOME_BITS | tag >> 12;
}

static inline uint32_t home_of(uint64_t hash) {
  return (uint32_t)((hash & ((1u << HOME_BITS) - 1)) * SLOTS >> HOME_BITS);
}

static inline index_slot *slots_of(char *segment) {
  return (index_slot *)segment + HEAD_SLOTS;
}

/* VDB_CORRUPT with the remedy. */
vdb_status index_damaged(const hash_index *index, vdb_error *error);

/* Makes [0, length) safe to touch, or says that the file ends before. Moves the mapping. */
vdb_status index_cover(hash_index *index, uint64_t length, vdb_error *error);

/* Makes the file long enough for this many blocks. VDB_FULL changes nothing. */
vdb_status index_extend(hash_index *index, uint64_t blocks, vdb_error *error);

vdb_status index_find_directory(hash_index *index, directory_place *out, vdb_error *error);
vdb_status index_find_segment(hash_index *index, uint64_t hash, char **segment, vdb_error *error);

#pragma GCC visibility pop

#endif
