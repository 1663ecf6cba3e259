/*
** adapter.h - what the benchmark knows of a store.
**
** Each file in bench/stores implements `adapter` for one store, as thin as its C API allows. Keys and values
** are made before the clock starts; a get ends when the value is in the caller's buffer. A call that says it
** failed ends the program: a store that drops what it is given must not look fast.
*/
#ifndef VIPERDB_BENCH_ADAPTER_H
#define VIPERDB_BENCH_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct text {
  const char *bytes;
  size_t size;
} text;

typedef struct pair {
  text key;
  text value;
} pair;

typedef struct adapter_options {
  uint64_t keys;  /* how many will be stored: for stores that want to know it before */
  bool sync_each; /* a put or batch is on the disk when it returns; else it may wait in the page cache */
  bool reclaim;   /* dead space is given back while writing, where that has to be asked for */
} adapter_options;

typedef void (*adapter_visit)(void *context, text key, text value);

#define ADAPTER_ABSENT (-1)
#define ADAPTER_FAILED (-2)

typedef struct adapter {
  const char *name;
  const char *settings; /* for the report: what its manual recommends, as far as this file follows it */
  bool persistent;      /* false: nothing is left after close */
  bool many_processes;  /* may several processes have it open, one of them writing */
  bool atomic_batches;  /* after a crash a batch is there as a whole or not at all */
  bool slow;            /* takes part in fewer runs */

  void *(*open)(const char *folder, const adapter_options *options); /* NULL when it fails */
  bool (*put)(void *store, text key, text value);
  int64_t (*get)(void *store, text key, char *buffer,
                 size_t room);           /* the value's size, or one of the above */
  bool (*remove)(void *store, text key); /* true also when the key was not there */
  bool (*batch)(void *store, const pair *pairs, size_t count);
  bool (*walk)(void *store, adapter_visit visit, void *context);
  bool (*sync)(void *store); /* what was written before is on the disk */
  bool (*reclaim)(
      void *store); /* gives back all dead space at once; NULL where there is nothing to ask for */
  bool (*close)(void *store);
} adapter;

extern const adapter bench_adapter;

/* folder/name in `path`, which holds at least 1024 bytes. */
const char *adapter_path(char *path, const char *folder, const char *name);

/* For an open that failed half way: frees what it allocated and gives NULL. */
void *adapter_give_up(void *store);

/* Says on stderr what went wrong and gives false. */
bool adapter_failed(const char *call, const char *reason);

#endif
