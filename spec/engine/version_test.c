/*
** version_test.c - changes on condition that the key is what it was, and what a snapshot answers without a value.
*/
#include "fixture.h"

static vdb_status look(vdb_store *store, const char *name, vdb_version *version) {
  vdb_key key = text_key(name);
  return vdb_get_version(store, &key, NULL, version, &last_error);
}

static vdb_status put_if(vdb_store *store, const char *name, const char *text, const vdb_version *version) {
  vdb_value value = {.encoding = VDB_BYTES, .bytes = text, .size = strlen(text)};
  vdb_change change = {.key = text_key(name), .value = &value};
  return vdb_change_if(store, &change, version, &last_error);
}

static vdb_status delete_if(vdb_store *store, const char *name, const vdb_version *version) {
  vdb_change change = {.key = text_key(name)};
  return vdb_change_if(store, &change, version, &last_error);
}

static uint64_t key_log_length(vdb_store *store) {
  vdb_stats stats = {0};
  vdb_stat(store, &stats, NULL);
  return stats.key_log_bytes;
}

static void test_versions_of_one_key(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path), *other = open_store(path);
  vdb_version absent, first, second;
  vdb_value value;
  vdb_key key = text_key("a");
  ok(look(store, "a", &absent) == VDB_ABSENT, "a key that is not there has a version");
  ok(put_if(store, "a", "1", &absent) == VDB_OK && holds(store, "a", "1"), "by which it can be put");
  ok(put_if(store, "a", "2", &absent) == VDB_CONFLICT && holds(store, "a", "1"), "but only once");
  ok(last_error.status == VDB_CONFLICT && strlen(last_error.message) > 0, "the conflict has a text");
  ok(vdb_get_version(store, &key, &value, &first, &last_error) == VDB_OK && value.size == 1 &&
         memcmp(value.bytes, "1", 1) == 0,
     "the value comes with its version");
  ok(put_text(other, "b", "1") == VDB_OK && put_if(store, "a", "2", &first) == VDB_OK,
     "writes to other keys don't matter");
  ok(look(store, "a", &second) == VDB_OK && put_text(other, "a", "2") == VDB_OK &&
         put_if(store, "a", "3", &second) == VDB_CONFLICT,
     "a write of another handle does, even of the same value");
  ok(look(store, "a", &second) == VDB_OK && delete_text(other, "a") == VDB_OK &&
         put_text(other, "a", "2") == VDB_OK && delete_if(store, "a", &second) == VDB_CONFLICT,
     "and so does a delete that was followed by a put");
  ok(look(store, "a", &second) == VDB_OK && delete_if(store, "a", &second) == VDB_OK && lacks(other, "a"),
     "a key is deleted by its version");
  ok(delete_if(store, "a", &second) == VDB_CONFLICT, "once");
  ok(put_if(store, "a", "1", &absent) == VDB_CONFLICT, "absent again is not absent as before");
  uint64_t length = key_log_length(store);
  ok(look(store, "a", &absent) == VDB_ABSENT && delete_if(store, "a", &absent) == VDB_ABSENT,
     "deleting what is not there says so");
  ok(key_log_length(store) == length, "and writes nothing");
  close_store(store);
  close_store(other);
}

static void test_versions_and_reclaim(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path), *other = open_store(path);
  vdb_version version;
  put_text(store, "a", "1");
  ok(look(store, "a", &version) == VDB_OK && reclaim(other), "the files are reclaimed after a look");
  ok(put_if(store, "a", "2", &version) == VDB_CONFLICT && holds(store, "a", "1"),
     "the version is of no use any more");
  ok(look(store, "a", &version) == VDB_OK && put_if(store, "a", "2", &version) == VDB_OK,
     "but the next one is");
  close_store(store);
  close_store(other);
}

static void test_versions_and_expiration(void) {
  vdb_store *store = open_store(new_path());
  vdb_value value = {.encoding = VDB_BYTES, .bytes = "1", .size = 1, .expiration = 1};
  vdb_change change = {.key = text_key("a"), .value = &value};
  vdb_version version;
  vdb_put(store, &change.key, &value, &last_error);
  ok(look(store, "a", &version) == VDB_ABSENT, "an expired key is absent, with a version");
  value.expiration = VDB_NEVER;
  ok(vdb_change_if(store, &change, &version, &last_error) == VDB_OK && holds(store, "a", "1"),
     "by which it can be put again");
  value.expiration = INT64_MAX - 1;
  vdb_put(store, &change.key, &value, &last_error);
  ok(vdb_get_version(store, &change.key, &value, &version, &last_error) == VDB_OK &&
         value.expiration == INT64_MAX - 1,
     "a value comes with its expiration");
  close_store(store);
}

static void test_versions_are_refused(void) {
  const char *path = new_path();
  close_store(open_store(path));
  vdb_store *store = open_with(path, (vdb_options){.readonly = true});
  vdb_version version;
  ok(look(store, "a", &version) == VDB_ABSENT && put_if(store, "a", "1", &version) == VDB_READONLY,
     "a read-only handle gives versions, but takes no change");
  vdb_value value = {.encoding = (vdb_encoding)9, .bytes = ""};
  vdb_change change = {.key = text_key("a"), .value = &value};
  ok(vdb_change_if(store, &change, &version, &last_error) == VDB_TYPE, "an unknown encoding is refused");
  change.key.type = (vdb_key_type)17;
  ok(vdb_get_version(store, &change.key, NULL, &version, &last_error) == VDB_TYPE,
     "and an unknown type of key");
  close_store(store);
}

static void test_snapshot_without_values(void) {
  vdb_store *store = open_store(new_path());
  vdb_snapshot *snapshot;
  vdb_key a = text_key("a"), b = text_key("b");
  put_text(store, "a", "1");
  vdb_snapshot_begin(store, &snapshot, &last_error);
  delete_text(store, "a");
  put_text(store, "b", "1");
  ok(vdb_snapshot_get(snapshot, &a, NULL, &last_error) == VDB_OK &&
         vdb_snapshot_get(snapshot, &b, NULL, &last_error) == VDB_ABSENT,
     "a snapshot tells what is there without reading values");
  vdb_snapshot_end(snapshot);
  close_store(store);
}

enum { CHILDREN = 4, INCREMENTS = 5000 };

static int increment(void *path) {
  vdb_store *store = open_store(path);
  vdb_key key = text_key("counter");
  for (int i = 0; i < INCREMENTS; i++) {
    vdb_status status;
    do {
      vdb_value value;
      vdb_version version;
      uint64_t count = 0;
      status = vdb_get_version(store, &key, &value, &version, NULL);
      if (status == VDB_OK) memcpy(&count, value.bytes, sizeof count);
      else if (status != VDB_ABSENT) return 1;
      count++;
      vdb_value next = {.encoding = VDB_BYTES, .bytes = &count, .size = sizeof count};
      status = vdb_change_if(store, &(vdb_change){key, &next}, &version, NULL);
    } while (status == VDB_CONFLICT);
    if (status != VDB_OK) return 1;
    if (i % 1000 == 999) (void)vdb_reclaim(store, NULL, NULL, NULL); /* one of them at a time */
  }
  return close_store(store) ? 0 : 1;
}

static void test_counting_together(void) {
  const char *path = new_path();
  close_store(open_store(path));
  pid_t children[CHILDREN];
  int failures = 0;
  for (int i = 0; i < CHILDREN; i++) children[i] = start_child(increment, (void *)path);
  for (int i = 0; i < CHILDREN; i++) failures += wait_child(children[i]) != 0;
  vdb_store *store = open_store(path);
  uint64_t expected = (uint64_t)CHILDREN * INCREMENTS;
  ok(failures == 0, "%d processes count with one key, and reclaim meanwhile", CHILDREN);
  ok(holds_bytes(store, text_key("counter"), &expected, sizeof expected), "and no count is lost");
  close_store(store);
}

int main(void) {
  test_versions_of_one_key();
  test_versions_and_reclaim();
  test_versions_and_expiration();
  test_versions_are_refused();
  test_snapshot_without_values();
  test_counting_together();
  return done_testing();
}
