/*
** expired_test.c - a damaged line doesn't pass for one whose key has expired or was deleted.
*/
#include "fixture.h"

#define LATER INT64_C(9000000000000) /* the year 2255 */

static vdb_store *store;
static const char *path;

/* Exchanges a byte of the key log behind the first `text` in it. */
static void damage(const char *text, char byte) {
  char lines[4096];
  int file = open(file_path(path, "db.klog"), O_RDWR);
  ssize_t size = pread(file, lines, sizeof lines - 1, 0);
  lines[size > 0 ? size : 0] = '\0';
  const char *at = strstr(lines, text);
  bool done = at != NULL && pwrite(file, &byte, 1, at - lines + (off_t)strlen(text)) == 1;
  close(file);
  ok(done, "a byte behind %s is damaged", text);
}

static vdb_status walk_status(void) {
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  vdb_status status = vdb_walk_begin(store, &walk, &last_error);
  while (status == VDB_OK) status = vdb_walk_next(walk, &key, &value, &last_error);
  vdb_walk_end(walk);
  return status;
}

static vdb_status snapshot_status(const vdb_key *key) {
  vdb_snapshot *snapshot;
  vdb_value value;
  vdb_status status = vdb_snapshot_begin(store, &snapshot, &last_error);
  if (status == VDB_OK) status = vdb_snapshot_get(snapshot, key, &value, &last_error);
  vdb_snapshot_end(snapshot);
  return status;
}

static void expect_all(vdb_status expected, const char *what) {
  vdb_key key = text_key("a");
  vdb_value value;
  int64_t expiration;
  ok(vdb_get(store, &key, &value, &last_error) == expected, "get %s", what);
  ok(vdb_has(store, &key, &last_error) == expected, "has %s", what);
  ok(vdb_expiration(store, &key, &expiration, &last_error) == expected, "expiration %s", what);
  ok(vdb_expire(store, &key, VDB_NEVER, &last_error) == expected, "expire %s", what);
  ok(snapshot_status(&key) == expected, "a snapshot %s", what);
}

static void start(void) {
  path = new_path();
  store = open_store(path);
}

static void test_expired(void) {
  start();
  vdb_key key = text_key("a");
  vdb_value value = {.encoding = VDB_BYTES, .bytes = "1", .size = 1, .expiration = 1000};
  ok(vdb_put(store, &key, &value, &last_error) == VDB_OK, "a key that has expired is stored");
  expect_all(VDB_ABSENT, "doesn't find it");
  ok(walk_status() == VDB_ABSENT, "a walk passes it by");
  value.expiration = LATER;
  vdb_put(store, &key, &value, &last_error);
  damage("\"expiration\": ", '7');
  ok(walk_status() == VDB_ABSENT, "a walk doesn't mind an old line");
  close_store(store);
}

static void test_damaged_expiration(void) {
  start();
  vdb_key key = text_key("a");
  vdb_value value = {.encoding = VDB_BYTES, .bytes = "1", .size = 1, .expiration = LATER};
  ok(vdb_put(store, &key, &value, &last_error) == VDB_OK, "a key that will expire is stored");
  damage("\"expiration\": ", '1');
  expect_all(VDB_CORRUPT, "tells the damage");
  ok(walk_status() == VDB_CORRUPT, "a walk tells the damage");
  ok(vdb_reclaim(store, NULL, NULL, &last_error) == VDB_CORRUPT, "a reclaim doesn't drop it");
  damage("\"expiration\": ", '9');
  expect_all(VDB_OK, "finds it when the byte is right again");
  close_store(store);
}

static void test_damaged_tombstone(void) {
  start();
  put_text(store, "a", "1");
  delete_text(store, "a");
  damage("\"prev\": 0, \"timestamp\": ", '9');
  expect_all(VDB_CORRUPT, "tells the damage of a tombstone");
  ok(vdb_reclaim(store, NULL, NULL, &last_error) == VDB_CORRUPT,
     "a reclaim doesn't drop a damaged tombstone");
  close_store(store);
}

int main(void) {
  test_expired();
  test_damaged_expiration();
  test_damaged_tombstone();
  return done_testing();
}
