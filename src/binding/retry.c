/*
** retry.c - trying again what met a write of somebody else.
*/
#define _POSIX_C_SOURCE 200809L

#include "retry.h"

#include <time.h>
#include <unistd.h>

#include "../engine/error.h"

#define AT_ONCE 2             /* so many tries come without a wait: most conflicts are over by then */
#define FIRST_WAIT 20000u     /* nanoseconds at most; doubled from try to try, */
#define LONGEST_WAIT 5000000u /* up to this */

/* Two that met must not wait equally long. They differ in the moment, the process or the stack. */
static uint64_t random_bits(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t bits = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  bits ^= (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&now;
  bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  bits = (bits ^ bits >> 27) * UINT64_C(0x94D049BB133111EB);
  return bits ^ bits >> 31;
}

static void wait_some_time(uint64_t tries) {
  if (tries <= AT_ONCE) return;
  uint64_t doublings = tries - AT_ONCE - 1;
  uint64_t longest = doublings < 8 ? FIRST_WAIT << doublings : LONGEST_WAIT;
  struct timespec wait = {.tv_nsec = (long)(random_bits() % longest)};
  nanosleep(&wait, NULL);
}

bool retry_after(uint64_t tries, uint64_t limit, vdb_status status, vdb_error *error) {
  if (status != VDB_CONFLICT) return false;
  if (tries < limit) {
    wait_some_time(tries);
    return true;
  }
  error_set(error, VDB_CONFLICT, "others wrote what was read during each of %llu tries: try again later",
            (unsigned long long)tries);
  return false;
}
