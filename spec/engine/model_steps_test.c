/*
** model_steps_test.c - random calls on a store and on an array in memory, which must agree.
**
** The store has tiny blocks, so it splits, doubles and maps anew all the time. In between it is closed,
** abandoned as if its process had died, reclaimed, and its derived files are deleted.
*/
#include "steps.h"

enum { KEYS = 1500, OPERATIONS = 40000 };

typedef struct model_entry {
  uint64_t order; /* of the last write */
  uint32_t size;
  unsigned char fill;
  bool exists;
} model_entry;

static model_entry model[KEYS];
static uint64_t model_count, model_clock;
static char buffer[80 * 1024];

/* Keys of all types, some long, all different. */
static vdb_key key_number(int number) {
  static char text[3000];
  switch (number % 7) {
  case 0: return vdb_integer(number);
  case 1: return vdb_float(number + 0.5);
  case 2: {
    size_t size = (size_t)(number % 13 == 0 ? 2500 : 40);
    memset(text, number % 3 == 0 ? 0xfe : 'k', size);
    memcpy(text, &number, sizeof number);
    return vdb_string(text, size);
  }
  default: snprintf(text, sizeof text, "key %d", number); return vdb_string(text, strlen(text));
  }
}

static int number_of(const vdb_key *key) {
  int number = 0;
  if (key->type == VDB_INTEGER) return (int)key->integer;
  if (key->type == VDB_FLOAT) return (int)key->number;
  if (key->size >= 40) memcpy(&number, key->string, sizeof number);
  else
    for (size_t i = 4; i < key->size; i++) number = 10 * number + key->string[i] - '0';
  return number >= 0 && number < KEYS ? number : 0;
}

static bool agrees(int number, const vdb_value *value) {
  const model_entry *entry = &model[number];
  if (!entry->exists || value->size != entry->size) return false;
  const unsigned char *bytes = value->bytes;
  for (size_t i = 0; i < value->size; i++)
    if (bytes[i] != entry->fill) return false;
  return true;
}

static bool check_get(vdb_store *store, int number) {
  vdb_key key = key_number(number);
  vdb_value value;
  vdb_status status = vdb_get(store, &key, &value, &last_error);
  bool right = model[number].exists ? status == VDB_OK && agrees(number, &value) : status == VDB_ABSENT;
  if (!right) printf("# key %d: %s %s\n", number, vdb_status_name(status), last_error.message);
  return right;
}

static void model_set(int number, uint32_t size, unsigned char fill) {
  if (!model[number].exists) model_count++;
  model[number] = (model_entry){.exists = true, .size = size, .fill = fill, .order = ++model_clock};
}

static bool do_put(vdb_store *store, int number) {
  uint32_t size = (uint32_t)(random_below(40) == 0 ? random_below(sizeof buffer) : random_below(200));
  unsigned char fill = (unsigned char)random_below(256);
  memset(buffer, fill, size);
  if (put_bytes(store, key_number(number), buffer, size) != VDB_OK) return false;
  model_set(number, size, fill);
  return true;
}

static bool do_delete(vdb_store *store, int number) {
  vdb_key key = key_number(number);
  vdb_status status = vdb_delete(store, &key, &last_error);
  bool right = status == (model[number].exists ? VDB_OK : VDB_ABSENT);
  if (model[number].exists) model_count--;
  model[number].exists = false;
  return right;
}

static bool do_commit(vdb_store *store) {
  enum { CHANGES = 30 };
  vdb_change changes[CHANGES];
  vdb_value values[CHANGES];
  char keys[CHANGES][2500];
  int first = (int)random_below(KEYS - CHANGES);
  for (int i = 0; i < CHANGES; i++) {
    int number = first + i;
    changes[i].key = key_number(number);
    if (changes[i].key.type == VDB_STRING) {
      memcpy(keys[i], changes[i].key.string, changes[i].key.size);
      changes[i].key.string = keys[i];
    }
    values[i] = (vdb_value){.encoding = VDB_BYTES, .bytes = buffer, .size = random_below(100)};
    changes[i].value = random_below(3) == 0 ? NULL : &values[i];
  }
  unsigned char fill = (unsigned char)random_below(256);
  memset(buffer, fill, 100);
  if (vdb_commit(store, NULL, NULL, 0, changes, CHANGES, &last_error) != VDB_OK) return false;
  for (int i = 0; i < CHANGES; i++) {
    model_entry *entry = &model[first + i];
    if (changes[i].value != NULL) model_set(first + i, (uint32_t)values[i].size, fill);
    if (changes[i].value == NULL && entry->exists) model_count--;
    if (changes[i].value == NULL) entry->exists = false;
  }
  return true;
}

static bool check_all(vdb_store *store, bool in_order) {
  uint64_t seen = 0, last = 0;
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  for (int i = 0; i < KEYS; i++)
    if (!check_get(store, i)) return false;
  if (vdb_walk_begin(store, &walk, &last_error) != VDB_OK) return false;
  bool right = true;
  while (right && vdb_walk_next(walk, &key, &value, &last_error) == VDB_OK) {
    int number = number_of(&key);
    right = agrees(number, &value) && (!in_order || model[number].order > last);
    if (!right) printf("# the walk is wrong at key %d\n", number);
    last = model[number].order;
    seen++;
  }
  vdb_walk_end(walk);
  if (seen != model_count || count_of(store) != model_count)
    printf("# walked %d, counted %d, wanted %d: %s\n", (int)seen, (int)count_of(store), (int)model_count,
           last_error.message);
  return right && seen == model_count && count_of(store) == model_count;
}

/* As a process leaves it that dies: the child exits without closing, and this one drops its copy. */
static int open_put_and_die(void *context) {
  vdb_store *store = open_store(context);
  if (store == NULL) return 1;
  memset(buffer, 7, 50);
  if (put_bytes(store, key_number(0), buffer, 50) != VDB_OK) return 2;
  die_here();
  return 3;
}

static vdb_store *leave_and_come_back(vdb_store *store, const char *path) {
  uint64_t way = random_below(6);
  if (!close_store(store)) return NULL;
  if (way == 1) remove_file(path, "db.index");
  if (way == 2) remove_file(path, "db.ctl");
  if (way >= 3) {
    if (in_child(open_put_and_die, (void *)path) != -SIGKILL) return NULL;
    model_set(0, 50, 7);
  }
  if (way == 4) remove_file(path, "db.index");
  if (way == 5) remove_file(path, "db.ctl");
  return open_store(path);
}

static vdb_store *step(vdb_store *store, const char *path, bool *in_order, bool *right) {
  uint64_t what = random_below(1000);
  int number = (int)random_below(KEYS);
  if (what < 550) {
    *right = do_put(store, number);
  } else if (what < 750) {
    *right = do_delete(store, number);
  } else if (what < 970) {
    *right = check_get(store, number);
  } else if (what < 992) {
    *right = do_commit(store);
  } else if (what < 995) {
    *right = check_all(store, *in_order);
  } else if (what < 997) {
    bool more;
    vdb_reclaim_options slice = {.budget_seconds = 0.0001};
    *right = vdb_reclaim(store, random_below(2) ? &slice : NULL, &more, &last_error) == VDB_OK;
    *in_order = false;
  } else {
    store = leave_and_come_back(store, path);
    *right = store != NULL;
  }
  return store;
}

static void run_model(uint64_t seed, int operations) {
  const char *path = new_path();
  random_state = seed;
  memset(model, 0, sizeof model);
  model_count = model_clock = 0;
  vdb_store *store = open_store(path);
  bool right = store != NULL, in_order = true;
  int done = 0;
  for (; done < operations && right; done++) store = step(store, path, &in_order, &right);
  if (right) right = check_all(store, in_order);
  ok(right, "store and model agree after %d random calls (seed %llu) %s", done, (unsigned long long)seed,
     right ? "" : last_error.message);
  uint64_t problems = 1;
  vdb_status checked = store == NULL ? VDB_CLOSED : vdb_check(store, NULL, NULL, &problems, &last_error);
  ok(checked == VDB_OK && problems == 0, "a check finds no problem (%d)", (int)problems);
  vdb_close(store, NULL);
  store = open_store(path);
  ok(store != NULL && check_all(store, false), "and they agree after opening again");
  vdb_close(store, NULL);
}

int main(int count, char **arguments) {
  uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 10) : 20240917;
  for (int round = 0; round < 2 * soak(); round++) run_model(seed + 7919 * (uint64_t)round, OPERATIONS / 2);
  return done_testing();
}
