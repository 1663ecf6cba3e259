/*
** index.c - the shared hash index (db.index).
**
** The file is blocks of 64 KiB. Block 0 is the header and the first directory; the others are segments, or later,
** larger directories. Numbers are little-endian, as the machine has them.
**
**     block 0            block 1             block 2             block 3
**     | header | dir |   | head | slots ... | head | slots ... | head | slots ...
**
**     hash (40 bits)     | place, 28 bits | home, 12 bits |
**     directory          the top `depth` bits of place -> number of a segment's block
**     segment            4092 slots; a key stands at its home or behind it, up to the next empty slot
**     slot, 16 bytes     | low 16 bits of place | line offset + 1, 48 bits |
**                        | home | upper 12 bits of place | value offset, 40 bits |
**
** A slot holds the whole hash, so a segment is split without looking at a single key. Slots are never emptied: a
** deleted key's slot points at its tombstone until reclaim makes a new index.
**
** Growth. Extendible hashing: a crowded segment is split into two, and the directory entries that named it now name
** those; the directory doubles when a segment is as deep as it. A split moves some 3,300 slots, which is the longest
** that a write ever waits for the index. With plain hashing all segments would be crowded at nearly the same time,
** so that just after they all split half the index would be empty. So `place` is spread unevenly on purpose: its
** density falls by half from the first place to the last, as in spiral hashing. Segments then fill up one after
** the other, and the mean load hardly changes while the index grows.
**
** Why readers need no lock. A slot is two words, each stored whole. The hash bits in them never change, so a reader
** that sees one new and one old word still sees the key's own slot: the line word decides, the value word is a hint.
** A new slot's value word is stored before its line word. A split does not touch the old segment: it fills two others,
** then exchanges directory entries, each a whole word, then counts `changes`. A reader in the old segment finds what was
** true when it came; the segment is used for something else only by a later split, after `changes` was counted. So a
** reader that finds `changes` as it was may believe what it saw, and any other looks again. Each repetition means that
** a writer has split a segment meanwhile: nobody waits for anybody.
**
** Why a writer may die anywhere. Publishing is one store of the line word. A split writes its intent into the header
** after the new segments are full and before the first directory entry changes; index_repair does the exchange again
** from the intent, as often as needed. Blocks taken before the intent was written are lost until reclaim.
** A death between a slot and its count leaves a segment's count one short; replay counts that segment again.
**
** Nothing in the file is trusted: block numbers, depths and prefixes are checked against the file's length at each
** use, and a search ends after as many slots as a segment has.
*/
#include "index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "index_layout.h"
#include "siphash.h"

vdb_status index_damaged(const hash_index *index, vdb_error *error) {
  return error_set(error, VDB_CORRUPT,
                   "%s is damaged: close the store in all processes, delete %s, open it again", index->name,
                   index->name);
}

void index_init(hash_index *index, const char *name) {
  *index = (hash_index){.file = -1, .name = name};
}

void index_close(hash_index *index) {
  if (index->base != NULL) os.unmap(index->base, index->mapped);
  if (index->file >= 0) os.close(index->file);
  index_init(index, index->name);
}

static vdb_status map_index(hash_index *index, uint64_t length, vdb_error *error) {
  os_map_kind kind = index->readonly ? OS_MAP_READ : OS_MAP_WRITE;
  size_t mapped;
  void *fresh = os_map_growing(index->file, length, kind, &mapped);
  if (fresh == MAP_FAILED) return error_system(error, "cannot map %s", index->name);
  if (index->base != NULL) os.unmap(index->base, index->mapped);
  index->base = fresh;
  index->mapped = mapped;
  return VDB_OK;
}

vdb_status index_measure_file(hash_index *index, vdb_error *error) {
  struct stat status;
  if (os.status(index->file, &status) != 0)
    return error_system(error, "cannot ask for the size of %s", index->name);
  index->file_size = (uint64_t)status.st_size;
  return VDB_OK;
}

vdb_status index_cover(hash_index *index, uint64_t length, vdb_error *error) {
  vdb_status status = length > index->file_size ? index_measure_file(index, error) : VDB_OK;
  if (status != VDB_OK) return status;
  if (length > index->file_size) return index_damaged(index, error);
  return length <= index->mapped ? VDB_OK : map_index(index, length, error);
}

vdb_status index_extend(hash_index *index, uint64_t blocks, vdb_error *error) {
  static const char zeros[16 * 1024];
  uint64_t limit, length = blocks * INDEX_BLOCK;
  if (os.size_limit(&limit) == 0 && length > limit) {
    errno = EFBIG;
    return error_system(error, "cannot extend %s, nothing was written", index->name);
  }
  for (uint64_t at = index->file_size; at < length;) {
    size_t size = length - at < sizeof zeros ? (size_t)(length - at) : sizeof zeros;
    if (os_write_all(index->file, zeros, size, at) != 0)
      return error_system(error, "cannot extend %s, nothing was written", index->name);
    at += size;
  }
  if (length > index->file_size) index->file_size = length;
  return VDB_OK;
}

uint64_t index_length(const hash_index *index) {
  return atomic_load_explicit(&header_of(index)->blocks, memory_order_relaxed) * INDEX_BLOCK;
}

vdb_status index_find_directory(hash_index *index, directory_place *out, vdb_error *error) {
  uint64_t word = atomic_load_explicit(&header_of(index)->directory, memory_order_acquire);
  uint64_t block = word >> 8;
  out->depth = (uint32_t)(word & 0xff);
  if (out->depth > PLACE_BITS || block > UINT32_MAX) return index_damaged(index, error);
  out->start = block == 0 ? INDEX_BLOCK / 2 : block * INDEX_BLOCK;
  uint64_t end = out->start + ((uint64_t)4 << out->depth);
  if (end <= index->file_size && end <= index->mapped) return VDB_OK;
  return index_cover(index, end, error);
}

vdb_status index_find_segment(hash_index *index, uint64_t hash, char **segment, vdb_error *error) {
  directory_place directory;
  vdb_status status = index_find_directory(index, &directory, error);
  if (status != VDB_OK) return status;
  uint32_t entry = directory.depth == 0 ? 0 : place_of(hash) >> (PLACE_BITS - directory.depth);
  uint64_t block = atomic_load_explicit(&entries_of(index, &directory)[entry], memory_order_acquire);
  uint64_t end = (block + 1) * INDEX_BLOCK;
  if (block == 0) return index_damaged(index, error);
  if (end > index->file_size || end > index->mapped) status = index_cover(index, end, error);
  *segment = status == VDB_OK ? block_at(index, block) : NULL;
  return status;
}

uint64_t index_hash(const hash_index *index, const char *key, size_t size) {
  uint64_t full = siphash(index->seed, key, size);
  uint64_t even = full >> 33; /* 31 bits, evenly spread */
  uint64_t uneven = even * ((UINT64_C(1) << 32) + even) / 3 >> 34;
  return uneven << HOME_BITS | (full & ((1u << HOME_BITS) - 1));
}

vdb_status index_seek(hash_index *index, uint64_t hash, index_probe *probe, vdb_error *error) {
  probe->changes = atomic_load_explicit(&header_of(index)->changes, memory_order_acquire);
  vdb_status status = index_find_segment(index, hash, &probe->segment, error);
  probe->hash = hash;
  probe->position = home_of(hash);
  probe->left = SLOTS;
  probe->slot = NULL;
  return status;
}

bool index_next(index_probe *probe, uint64_t *line, uint64_t *value) {
  index_slot *slots = slots_of(probe->segment);
  uint64_t first = line_tag(probe->hash), second = value_tag(probe->hash);
  for (; probe->left > 0; probe->left--) {
    index_slot *slot = &slots[probe->position];
    uint64_t word = atomic_load_explicit(&slot->line, memory_order_acquire);
    probe->slot = slot;
    if (word == 0) return false;
    probe->position = probe->position + 1 == SLOTS ? 0 : probe->position + 1;
    if ((word & ~LINE_MASK) != first) continue;
    uint64_t hint = atomic_load_explicit(&slot->value, memory_order_relaxed);
    if ((hint & ~VALUE_MASK) != second) continue;
    probe->left--;
    *line = (word & LINE_MASK) - 1;
    *value = hint & VALUE_MASK;
    return true;
  }
  probe->slot = NULL;
  return false;
}

bool index_unchanged(const hash_index *index, const index_probe *probe) {
  atomic_thread_fence(memory_order_acquire);
  return atomic_load_explicit(&header_of(index)->changes, memory_order_relaxed) == probe->changes;
}

void index_fetch(hash_index *index, uint64_t hash) {
  char *segment;
  if (index_find_segment(index, hash, &segment, NULL) != VDB_OK) return;
  __builtin_prefetch(segment);
  __builtin_prefetch(&slots_of(segment)[home_of(hash)]);
}

bool index_names(hash_index *index, uint64_t hash, uint64_t line) {
  index_probe probe;
  uint64_t candidate, value;
  if (index_seek(index, hash, &probe, NULL) != VDB_OK) return false;
  while (index_next(&probe, &candidate, &value))
    if (candidate == line) return index_unchanged(index, &probe);
  return false;
}

static void store_slot(index_slot *slot, uint64_t hash, uint64_t line, uint64_t value) {
  atomic_store_explicit(&slot->value, value_tag(hash) | (value & VALUE_MASK), memory_order_release);
  OS_STOP("half a slot");
  atomic_store_explicit(&slot->line, line_tag(hash) | ((line + 1) & LINE_MASK), memory_order_release);
}

void index_publish(hash_index *index, index_probe *probe, uint64_t line, uint64_t value) {
  segment_head *head = (segment_head *)probe->segment;
  bool fresh = atomic_load_explicit(&probe->slot->line, memory_order_relaxed) == 0;
  store_slot(probe->slot, probe->hash, line, value);
  OS_STEP("slot");
  if (!fresh) return;
  atomic_fetch_add_explicit(&head->used, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&header_of(index)->used, 1, memory_order_relaxed);
}

static uint32_t count_slots(char *segment) {
  index_slot *slots = slots_of(segment);
  uint32_t used = 0;
  for (uint32_t i = 0; i < SLOTS; i++)
    used += atomic_load_explicit(&slots[i].line, memory_order_relaxed) != 0;
  return used;
}

void index_recount(hash_index *index, const index_probe *probe) {
  segment_head *head = (segment_head *)probe->segment;
  uint32_t counted = count_slots(probe->segment);
  uint32_t before = atomic_exchange_explicit(&head->used, counted, memory_order_relaxed);
  atomic_fetch_add_explicit(&header_of(index)->used, (uint64_t)counted - before, memory_order_relaxed);
}

static vdb_status start_empty(hash_index *index, uint64_t generation, vdb_error *error) {
  vdb_status status = index_extend(index, 2, error);
  if (status == VDB_OK) status = index_cover(index, 2 * INDEX_BLOCK, error);
  if (status != VDB_OK) return status;
  index_header *header = header_of(index);
  memcpy(header->magic, MAGIC, sizeof header->magic);
  header->version = VERSION;
  header->block = INDEX_BLOCK;
  header->generation = generation;
  if (os.random(header->seed, sizeof header->seed) != 0)
    return error_system(error, "cannot get random bytes");
  memcpy(index->seed, header->seed, sizeof index->seed);
  atomic_store(&header->directory, INDEX_FIRST_DEPTH);
  atomic_store(&header->blocks, 2);
  atomic_store(&header->segments, 1);
  directory_place directory = {.start = INDEX_BLOCK / 2, .depth = INDEX_FIRST_DEPTH};
  _Atomic uint32_t *entries = entries_of(index, &directory);
  for (uint32_t i = 0; i < 1u << INDEX_FIRST_DEPTH; i++)
    atomic_store_explicit(&entries[i], 1, memory_order_relaxed);
  return VDB_OK;
}

vdb_status index_create(hash_index *index, int folder, uint64_t generation, vdb_error *error) {
  index->readonly = false;
  if (folder < 0) {
    index->file = os.memory_file(index->name);
  } else {
    struct stat status;
    if (os.remove(folder, index->name) != 0 && errno != ENOENT)
      return error_system(error, "cannot remove the old %s", index->name);
    index->file = os_open_regular(folder, index->name, O_RDWR | O_CREAT | O_EXCL, &status);
  }
  if (index->file < 0) return error_system(error, "cannot make %s", index->name);
  vdb_status status = start_empty(index, generation, error);
  if (status != VDB_OK) index_close(index);
  return status;
}

/* Writers may make the file longer and take blocks while it is being opened: so the blocks are asked for first. */
static bool usable(const hash_index *index, uint64_t generation) {
  const index_header *header = header_of(index);
  return memcmp(header->magic, MAGIC, sizeof header->magic) == 0 && header->version == VERSION &&
         header->block == INDEX_BLOCK && header->generation == generation &&
         atomic_load(&header->blocks) <= UINT32_MAX;
}

/* A writer may be making the file longer, so its length is asked for after the number of blocks. */
static bool complete(hash_index *index) {
  uint64_t blocks = atomic_load_explicit(&header_of(index)->blocks, memory_order_acquire);
  return index_cover(index, blocks * INDEX_BLOCK, NULL) == VDB_OK;
}

vdb_status index_open(hash_index *index, int folder, bool readonly, uint64_t generation, vdb_error *error) {
  struct stat status;
  index->readonly = readonly;
  index->file = os_open_regular(folder, index->name, readonly ? O_RDONLY : O_RDWR, &status);
  if (index->file < 0 && errno == ENOENT) return VDB_ABSENT;
  if (index->file < 0) return error_open(error, index->name);
  index->file_size = (uint64_t)status.st_size;
  vdb_status result = VDB_ABSENT;
  if (index->file_size >= 2 * INDEX_BLOCK) result = index_cover(index, 2 * INDEX_BLOCK, error);
  if (result == VDB_OK && !(usable(index, generation) && complete(index))) result = VDB_ABSENT;
  if (result == VDB_OK) memcpy(index->seed, header_of(index)->seed, sizeof index->seed);
  else index_close(index);
  return result;
}

vdb_status index_each(hash_index *index, bool (*visit)(void *context, uint64_t line), void *context,
                      vdb_error *error) {
  directory_place directory;
  vdb_status status = index_find_directory(index, &directory, error);
  uint64_t previous = 0;
  for (uint64_t i = 0; status == VDB_OK && i < (uint64_t)1 << directory.depth; i++) {
    uint64_t block = atomic_load_explicit(&entries_of(index, &directory)[i], memory_order_acquire);
    if (block == previous) continue;
    previous = block;
    if (block == 0) return index_damaged(index, error);
    status = index_cover(index, (block + 1) * INDEX_BLOCK, error);
    if (status != VDB_OK) return status;
    index_slot *slots = slots_of(block_at(index, block));
    for (uint32_t at = 0; at < SLOTS; at++) {
      uint64_t word = atomic_load_explicit(&slots[at].line, memory_order_acquire);
      if (word != 0 && !visit(context, (word & LINE_MASK) - 1)) return VDB_OK;
    }
  }
  return status;
}

vdb_status index_sync(hash_index *index, vdb_error *error) {
  return os.sync(index->file) == 0 ? VDB_OK : error_system(error, "cannot sync %s", index->name);
}

void index_measure(hash_index *index, index_size *size) {
  const index_header *header = header_of(index);
  struct stat status;
  if (os.status(index->file, &status) == 0) index->file_size = (uint64_t)status.st_size;
  size->bytes = index->file_size;
  size->used = atomic_load_explicit(&header->used, memory_order_relaxed);
  size->slots = atomic_load_explicit(&header->segments, memory_order_relaxed) * SLOTS;
}
