/*
** replay.c - runs a fuzz target over the files of a folder, without libFuzzer, and prints TAP.
**
** An input that makes the target fail ends the program: the last `#` line names it, and the plan is missing.
*/
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../engine/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int is_input(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

static bool replay(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return false;
  uint8_t *bytes = NULL;
  size_t size = 0;
  for (size_t got = 1; got > 0; size += got) {
    uint8_t *more = realloc(bytes, size + 65536);
    if (more == NULL) abort();
    bytes = more;
    got = fread(bytes + size, 1, 65536, file);
  }
  bool whole = ferror(file) == 0;
  fclose(file);
  if (whole) LLVMFuzzerTestOneInput(bytes, size);
  free(bytes);
  return whole;
}

int main(int argc, char **argv) {
  struct dirent **inputs = NULL;
  const char *folder = argc == 2 ? argv[1] : ".";
  int count = scandir(folder, &inputs, is_input, alphasort);
  if (!ok(count > 0, "the folder %s has inputs", folder)) return done_testing();
  for (int i = 0; i < count; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, inputs[i]->d_name);
    printf("# %s\n", path);
    fflush(stdout);
    ok(replay(path), "%s does no harm", inputs[i]->d_name);
    free(inputs[i]);
  }
  free(inputs);
  return done_testing();
}
