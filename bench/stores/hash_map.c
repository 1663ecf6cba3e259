/*
** hash_map.c - a hash map in memory, as the floor: what the keys and values cost when nothing is kept.
**
** Open addressing with linear probing, grown to twice its size at three quarters. A slot points to one
** allocation with key and value.
*/
#include <stdlib.h>
#include <string.h>

#include "../adapter.h"

typedef struct map_entry {
  size_t key_size, value_size;
  char bytes[];
} map_entry;

typedef struct map_slot {
  uint64_t hash;    /* 0: empty */
  map_entry *entry; /* NULL with a hash: was removed */
} map_slot;

typedef struct hash_map {
  map_slot *slots;
  uint64_t mask, used;
} hash_map;

static uint64_t load64(const char *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static uint64_t mix(uint64_t word) {
  word ^= word >> 32;
  word *= UINT64_C(0xd6e8feb86659fd93);
  return word ^ word >> 32;
}

static uint64_t hash_of(text key) {
  uint64_t hash = key.size;
  size_t at = 0;
  for (; at + 8 <= key.size; at += 8) hash = mix(hash ^ load64(key.bytes + at));
  for (; at < key.size; at++) hash = mix(hash ^ (unsigned char)key.bytes[at]);
  return hash | 1;
}

/* The key's slot, or the empty one where it would go. */
static map_slot *find(const hash_map *map, uint64_t hash, text key) {
  for (uint64_t at = hash >> 1 & map->mask;; at = (at + 1) & map->mask) {
    map_slot *slot = &map->slots[at];
    if (slot->hash == 0) return slot;
    if (slot->hash != hash || slot->entry == NULL || slot->entry->key_size != key.size) continue;
    if (memcmp(slot->entry->bytes, key.bytes, key.size) == 0) return slot;
  }
}

static void *open_store(const char *folder, const adapter_options *options) {
  (void)folder, (void)options;
  hash_map *map = calloc(1, sizeof *map);
  if (map == NULL) return NULL;
  map->mask = 1023;
  map->slots = calloc(map->mask + 1, sizeof *map->slots);
  return map->slots != NULL ? map : adapter_give_up(map);
}

static bool grow(hash_map *map) {
  hash_map next = {.mask = 2 * map->mask + 1};
  next.slots = calloc(next.mask + 1, sizeof *next.slots);
  if (next.slots == NULL) return adapter_failed("calloc", "out of memory");
  for (uint64_t i = 0; i <= map->mask; i++) {
    map_entry *entry = map->slots[i].entry;
    if (entry == NULL) continue;
    *find(&next, map->slots[i].hash, (text){entry->bytes, entry->key_size}) = map->slots[i];
    next.used++;
  }
  free(map->slots);
  *map = next;
  return true;
}

static bool put(void *context, text key, text value) {
  hash_map *map = context;
  map_entry *entry = malloc(sizeof *entry + key.size + value.size);
  if (entry == NULL) return adapter_failed("malloc", "out of memory");
  entry->key_size = key.size;
  entry->value_size = value.size;
  memcpy(entry->bytes, key.bytes, key.size);
  memcpy(entry->bytes + key.size, value.bytes, value.size);
  uint64_t hash = hash_of(key);
  map_slot *slot = find(map, hash, key);
  if (slot->hash == 0) map->used++;
  free(slot->entry);
  slot->hash = hash;
  slot->entry = entry;
  return map->used * 4 < map->mask * 3 || grow(map);
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  const hash_map *map = context;
  const map_slot *slot = find(map, hash_of(key), key);
  if (slot->hash == 0) return ADAPTER_ABSENT;
  const map_entry *entry = slot->entry;
  memcpy(buffer, entry->bytes + entry->key_size, entry->value_size < room ? entry->value_size : room);
  return (int64_t)entry->value_size;
}

static bool remove_key(void *context, text key) {
  const hash_map *map = context;
  map_slot *slot = find(map, hash_of(key), key);
  free(slot->entry);
  slot->entry = NULL;
  return true;
}

static bool batch(void *context, const pair *pairs, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!put(context, pairs[i].key, pairs[i].value)) return false;
  return true;
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  const hash_map *map = context;
  for (uint64_t i = 0; i <= map->mask; i++) {
    const map_entry *entry = map->slots[i].entry;
    if (entry == NULL) continue;
    visit(visit_context, (text){entry->bytes, entry->key_size},
          (text){entry->bytes + entry->key_size, entry->value_size});
  }
  return true;
}

static bool sync_store(void *context) {
  (void)context;
  return true;
}

static bool close_store(void *context) {
  hash_map *map = context;
  for (uint64_t i = 0; i <= map->mask; i++) free(map->slots[i].entry);
  free(map->slots);
  free(map);
  return true;
}

const adapter bench_adapter = {
    .name = "hash map in C",
    .settings = "in memory, nothing is kept",
    .open = open_store,
    .put = put,
    .get = get,
    .remove = remove_key,
    .batch = batch,
    .walk = walk,
    .sync = sync_store,
    .close = close_store,
};
