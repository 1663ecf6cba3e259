/*
** walk.c - all keys in the order of their last write, as they were when the walk began.
**
** The walk reads the key log from its start to the end that it had at the beginning. A line counts when it is its key's
** newest line before that end. The index names the newest line of all; when that lies behind the end, because the key was
** written meanwhile, `prev` leads back from line to line to the newest one before it. So nothing needs to be copied or
** kept from being written, however long the walk takes.
**
** A key that is written all the time makes that way back long, and its old lines in the walk's part of the log would each
** ask for it again. The answer is the same for all of them, so the last answers are kept.
*/
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

#define ANSWERS 256u

/* A key whose newest line lies behind the walk's end, and its newest line before it. */
typedef struct walk_answer {
  bool known;
  uint64_t hash;
  uint64_t line;
} walk_answer;

struct vdb_walk {
  vdb_store *store;
  store_view *view;
  uint64_t position;
  uint64_t end;
  char *key; /* the text of the last key, then its bytes */
  size_t key_room;
  record_scratch scratch;
  walk_answer answers[ANSWERS];
};

/* While the files are being exchanged, `applied` may be of the next ones; the old log then is complete as it is. */
static uint64_t walk_length(vdb_store *store) {
  const control_page *page = store->control.page;
  uint64_t applied = atomic_load_explicit(&page->applied, memory_order_acquire);
  atomic_thread_fence(memory_order_acquire);
  if (atomic_load_explicit(&page->generation, memory_order_relaxed) == store->view->generation) return applied;
  log_measure(&store->view->key_log);
  return store->view->key_log.size;
}

vdb_status vdb_walk_begin(vdb_store *store, vdb_walk **out, vdb_error *error) {
  *out = NULL;
  vdb_status status = store_enter(store, error);
  if (status != VDB_OK) return status;
  vdb_walk *walk = calloc(1, sizeof *walk);
  if (walk == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  walk->end = walk_length(store);
  store->references++;
  walk->store = store;
  walk->view = view_share(store->view);
  *out = walk;
  return VDB_OK;
}

void vdb_walk_end(vdb_walk *walk) {
  if (walk == NULL) return;
  view_release(walk->view);
  store_release(walk->store);
  record_scratch_free(&walk->scratch);
  free(walk->key);
  free(walk);
}

/* Keeps the key's text, since the lookup moves mappings, and room for its bytes behind it. */
static vdb_status keep_key(vdb_walk *walk, const record *entry, vdb_error *error) {
  size_t room = 2 * entry->key_size;
  if (room > walk->key_room) {
    char *key = realloc(walk->key, room);
    if (key == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
    walk->key = key;
    walk->key_room = room;
  }
  memcpy(walk->key, entry->key, entry->key_size);
  return VDB_OK;
}

/* Hashes of 40 bits are not keys: the line that the answer names must be this key's. */
static bool find_answer(vdb_walk *walk, uint64_t hash, size_t key_size, uint64_t *line) {
  const walk_answer *answer = &walk->answers[hash % ANSWERS];
  record entry;
  if (!answer->known || answer->hash != hash) return false;
  if (view_read_line(walk->view, answer->line, &entry, &walk->scratch, NULL) != VDB_OK) return false;
  if (entry.key_size != key_size || memcmp(entry.key, walk->key, key_size) != 0) return false;
  *line = answer->line;
  return true;
}

static vdb_status go_back(vdb_walk *walk, const store_found *found, size_t key_size, uint64_t *line,
                          vdb_error *error) {
  uint64_t hash = found->probe.hash, at = found->line;
  record entry = found->record;
  if (find_answer(walk, hash, key_size, line)) return VDB_OK;
  *line = RECORD_NONE;
  while (at >= walk->end) {
    if (entry.prev == RECORD_NONE || entry.prev >= at) return VDB_OK;
    at = entry.prev;
    vdb_status status = view_read_line(walk->view, at, &entry, &walk->scratch, error);
    if (status != VDB_OK) return status;
  }
  walk->answers[hash % ANSWERS] = (walk_answer){.known = true, .hash = hash, .line = at};
  *line = at;
  return VDB_OK;
}

/* Whether the line at `line` is its key's newest before the walk's end. */
static vdb_status is_newest(vdb_walk *walk, uint64_t line, size_t key_size, bool *newest, vdb_error *error) {
  store_found found;
  vdb_status status = view_find(walk->view, &walk->scratch, walk->key, key_size, &found, error);
  if (status != VDB_OK) return status;
  if (!found.exists)
    return error_set(error, VDB_CORRUPT, INDEX_NAME " misses the line at byte %llu of " KEY_LOG_NAME
                     ": close the store in all processes, delete " INDEX_NAME ", open it again",
                     (unsigned long long)line);
  uint64_t last = found.line;
  if (last >= walk->end) status = go_back(walk, &found, key_size, &last, error);
  *newest = last == line;
  return status;
}

/* The next line from the position on; VDB_ABSENT at the end. */
static vdb_status next_line(vdb_walk *walk, record *entry, uint64_t *line, vdb_error *error) {
  log_file *log = &walk->view->key_log;
  vdb_status status = log_cover(log, walk->end, error);
  if (status != VDB_OK) return status;
  while (walk->position < walk->end && log->base[walk->position] == '\n') walk->position++;
  if (walk->position >= walk->end) return VDB_ABSENT;
  *line = walk->position;
  status = view_read_line(walk->view, *line, entry, &walk->scratch, error);
  if (status == VDB_OK) walk->position += entry->line_size;
  return status;
}

static vdb_status fill_key(vdb_walk *walk, size_t size, vdb_key *key, vdb_error *error) {
  if (record_read_key(walk->key, size, walk->key + size, key)) return VDB_OK;
  return error_set(error, VDB_CORRUPT, "a key before byte %llu of " KEY_LOG_NAME " can't be read: run viperdb.repair",
                   (unsigned long long)walk->position);
}

static vdb_status fill_value(vdb_walk *walk, uint64_t line, vdb_value *value, vdb_error *error) {
  record entry;
  const char *bytes;
  vdb_status status = view_read_line(walk->view, line, &entry, &walk->scratch, error);
  if (status == VDB_OK) status = view_read_value(walk->view, line, &entry, &bytes, error);
  if (status != VDB_OK) return status;
  *value = (vdb_value){
    .encoding = entry.encoding,
    .bytes = bytes,
    .size = (size_t)entry.value_size,
    .expiration = entry.expiration,
  };
  return VDB_OK;
}

vdb_status vdb_walk_next(vdb_walk *walk, vdb_key *key, vdb_value *value, vdb_error *error) {
  if (walk->store->closed) return error_set(error, VDB_CLOSED, "the store was closed during the walk");
  for (;;) {
    record entry;
    uint64_t line;
    vdb_status status = next_line(walk, &entry, &line, error);
    if (status != VDB_OK) return status;
    if (!record_alive(&entry)) continue;
    size_t key_size = entry.key_size;
    bool newest = false;
    status = keep_key(walk, &entry, error);
    if (status == VDB_OK) status = is_newest(walk, line, key_size, &newest, error);
    if (status == VDB_OK && !newest) continue;
    if (status == VDB_OK) status = fill_key(walk, key_size, key, error);
    if (status == VDB_OK && value != NULL) status = fill_value(walk, line, value, error);
    return status;
  }
}
