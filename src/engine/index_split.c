/*
** index_split.c - how the index grows: one segment at a time, and its directory when that is too coarse.
**
** Called under the writers' lock. The head of index.c says why readers and deaths in the middle do no harm.
*/
#include "index_layout.h"

#include "error.h"

/* Takes blocks at the end of the file, which is made longer when needed; may move the mapping. */
static vdb_status take_blocks(hash_index *index, uint64_t count, uint64_t *first, vdb_error *error) {
  uint64_t taken = atomic_load_explicit(&header_of(index)->blocks, memory_order_relaxed);
  if (taken + count > UINT32_MAX) return index_damaged(index, error);
  uint64_t needed = (taken + count) * INDEX_BLOCK;
  vdb_status status = index_cover(index, taken * INDEX_BLOCK, error);
  if (status == VDB_OK && needed > index->file_size) status = index_measure_file(index, error);
  if (status == VDB_OK && needed > index->file_size) {
    status = index_extend(index, taken + count + GROW_BLOCKS, NULL);
    if (status != VDB_OK) status = index_extend(index, taken + count, error);
  }
  if (status == VDB_OK) status = index_cover(index, needed, error);
  if (status != VDB_OK) return status;
  atomic_store_explicit(&header_of(index)->blocks, taken + count, memory_order_release);
  *first = taken;
  return VDB_OK;
}

static vdb_status double_directory(hash_index *index, vdb_error *error) {
  directory_place old;
  vdb_status status = index_find_directory(index, &old, error);
  if (status != VDB_OK) return status;
  if (old.depth == PLACE_BITS)
    return error_set(error, VDB_FULL, "%s has no room for more keys, nothing was written", index->name);
  uint64_t bytes = (uint64_t)4 << (old.depth + 1), first;
  status = take_blocks(index, (bytes + INDEX_BLOCK - 1) / INDEX_BLOCK, &first, error);
  if (status != VDB_OK) return status;
  directory_place fresh = {.start = first * INDEX_BLOCK, .depth = old.depth + 1};
  _Atomic uint32_t *from = entries_of(index, &old), *to = entries_of(index, &fresh);
  for (uint64_t i = 0; i < (uint64_t)1 << fresh.depth; i++)
    atomic_store_explicit(&to[i], atomic_load_explicit(&from[i / 2], memory_order_relaxed),
                          memory_order_relaxed);
  atomic_store_explicit(&header_of(index)->directory, first << 8 | fresh.depth, memory_order_release);
  atomic_fetch_add_explicit(&header_of(index)->changes, 1, memory_order_release);
  return VDB_OK;
}

static void clear_segment(char *segment, uint32_t depth, uint32_t prefix) {
  segment_head *head = (segment_head *)segment;
  index_slot *slots = slots_of(segment);
  /* Who sees a cleared slot sees the `changes` of the split before, too. */
  atomic_thread_fence(memory_order_release);
  for (uint32_t i = 0; i < SLOTS; i++) {
    atomic_store_explicit(&slots[i].line, 0, memory_order_relaxed);
    atomic_store_explicit(&slots[i].value, 0, memory_order_relaxed);
  }
  head->depth = depth;
  head->prefix = prefix;
  atomic_store_explicit(&head->used, 0, memory_order_relaxed);
}

static void copy_slot(char *segment, uint64_t hash, uint64_t line, uint64_t value) {
  index_slot *slots = slots_of(segment);
  uint32_t position = home_of(hash);
  while (atomic_load_explicit(&slots[position].line, memory_order_relaxed) != 0)
    position = position + 1 == SLOTS ? 0 : position + 1;
  atomic_store_explicit(&slots[position].value, value, memory_order_relaxed);
  atomic_store_explicit(&slots[position].line, line, memory_order_relaxed);
  atomic_fetch_add_explicit(&((segment_head *)segment)->used, 1, memory_order_relaxed);
}

/* The bit of place behind the segment's prefix decides. Both halves have room for all: they are as large. */
static void divide(char *old, char *low, char *high) {
  const segment_head *head = (const segment_head *)old;
  index_slot *slots = slots_of(old);
  clear_segment(low, head->depth + 1, head->prefix << 1);
  clear_segment(high, head->depth + 1, head->prefix << 1 | 1);
  OS_STOP("cleared");
  uint32_t bit = (uint32_t)1 << (PLACE_BITS - head->depth - 1);
  for (uint32_t i = 0; i < SLOTS; i++) {
    uint64_t line = atomic_load_explicit(&slots[i].line, memory_order_relaxed);
    uint64_t value = atomic_load_explicit(&slots[i].value, memory_order_relaxed);
    if (line == 0) continue;
    uint64_t hash = hash_of(line, value);
    copy_slot(place_of(hash) & bit ? high : low, hash, line, value);
  }
}

/* What a split changes for everybody, done from the intent alone and as often as needed. */
static vdb_status exchange(hash_index *index, vdb_error *error) {
  directory_place directory;
  vdb_status status = index_find_directory(index, &directory, error);
  if (status != VDB_OK) return status;
  index_header *header = header_of(index);
  const segment_head *head = (const segment_head *)block_at(index, header->split.old);
  if (head->depth >= directory.depth || head->prefix >> head->depth != 0) return index_damaged(index, error);
  uint32_t half = (uint32_t)1 << (directory.depth - head->depth - 1);
  uint32_t start = head->prefix << (directory.depth - head->depth);
  _Atomic uint32_t *entries = entries_of(index, &directory);
  for (uint32_t i = 0; i < half; i++) {
    atomic_store_explicit(&entries[start + i], header->split.low, memory_order_release);
    atomic_store_explicit(&entries[start + half + i], header->split.high, memory_order_release);
    OS_STEP("directory");
  }
  atomic_store_explicit(&header->spare, header->split.old, memory_order_release);
  atomic_fetch_add_explicit(&header->changes, 1, memory_order_release);
  atomic_store_explicit(&header->split.active, 0, memory_order_release);
  return VDB_OK;
}

static bool block_exists(hash_index *index, uint32_t block) {
  return block != 0 && index_cover(index, ((uint64_t)block + 1) * INDEX_BLOCK, NULL) == VDB_OK;
}

vdb_status index_repair(hash_index *index, vdb_error *error) {
  const split_intent *split = &header_of(index)->split;
  if (atomic_load_explicit(&split->active, memory_order_acquire) == 0) return VDB_OK;
  uint32_t blocks[] = {split->old, split->low, split->high};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
    if (!block_exists(index, blocks[i])) return index_damaged(index, error);
  return exchange(index, error);
}

static vdb_status take_halves(hash_index *index, uint32_t *low, uint32_t *high, vdb_error *error) {
  uint32_t spare = atomic_load_explicit(&header_of(index)->spare, memory_order_relaxed);
  bool reuse = spare != 0 && block_exists(index, spare);
  uint64_t first;
  vdb_status status = take_blocks(index, reuse ? 1 : 2, &first, error);
  if (status != VDB_OK) return status;
  *low = reuse ? spare : (uint32_t)first + 1;
  *high = (uint32_t)first;
  return VDB_OK;
}

/* Splits the segment with the number `old`. Everything that can fail comes before the first change. */
static vdb_status split(hash_index *index, uint32_t old, vdb_error *error) {
  uint32_t low, high;
  directory_place directory;
  vdb_status status = index_find_directory(index, &directory, error);
  uint32_t depth = ((const segment_head *)block_at(index, old))->depth;
  if (status == VDB_OK && depth > directory.depth) status = index_damaged(index, error);
  if (status == VDB_OK && depth == directory.depth) status = double_directory(index, error);
  if (status == VDB_OK) status = take_halves(index, &low, &high, error);
  if (status != VDB_OK) return status;
  divide(block_at(index, old), block_at(index, low), block_at(index, high));
  OS_STEP("divided");
  index_header *header = header_of(index);
  header->split.old = old;
  header->split.low = low;
  header->split.high = high;
  atomic_store_explicit(&header->split.active, 1, memory_order_release);
  atomic_fetch_add_explicit(&header->segments, 1, memory_order_relaxed);
  OS_STEP("intent");
  return exchange(index, error);
}

/* A split gives room for at least half a crowded segment, or nearly so; the directory may have to double. */
vdb_status index_reserve(hash_index *index, size_t keys, vdb_error *error) {
  directory_place directory;
  vdb_status status = index_find_directory(index, &directory, error);
  if (status != VDB_OK) return status;
  uint64_t taken = atomic_load_explicit(&header_of(index)->blocks, memory_order_relaxed);
  uint64_t doubled = ((uint64_t)16 << directory.depth) / INDEX_BLOCK + 2;
  uint64_t blocks = taken + doubled + GROW_BLOCKS + keys / (CROWDED / 4);
  status = index_cover(index, taken * INDEX_BLOCK, error);
  if (status == VDB_OK && blocks * INDEX_BLOCK > index->file_size) status = index_measure_file(index, error);
  if (status != VDB_OK || blocks * INDEX_BLOCK <= index->file_size) return status;
  return index_extend(index, blocks, error);
}

vdb_status index_make_room(hash_index *index, uint64_t hash, vdb_error *error) {
  for (;;) {
    char *segment;
    vdb_status status = index_find_segment(index, hash, &segment, error);
    if (status != VDB_OK) return status;
    const segment_head *head = (const segment_head *)segment;
    if (atomic_load_explicit(&head->used, memory_order_relaxed) < CROWDED) return VDB_OK;
    status = split(index, (uint32_t)((size_t)(segment - index->base) / INDEX_BLOCK), error);
    if (status != VDB_OK) return status;
  }
}
