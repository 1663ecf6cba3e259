/*
** error.c - filling a vdb_error, and which status a failed system call becomes.
*/
#define _POSIX_C_SOURCE 200809L

#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [VDB_OK] = "OK",
    [VDB_ABSENT] = "ABSENT",
    [VDB_CORRUPT] = "CORRUPT",
    [VDB_IO] = "IO",
    [VDB_FULL] = "FULL",
    [VDB_READONLY] = "READONLY",
    [VDB_CLOSED] = "CLOSED",
    [VDB_TYPE] = "TYPE",
    [VDB_RANGE] = "RANGE",
    [VDB_TOO_BIG] = "TOO_BIG",
    [VDB_UNSUPPORTED] = "UNSUPPORTED",
    [VDB_BUSY] = "BUSY",
    [VDB_CONFLICT] = "CONFLICT",
    [VDB_NO_MEMORY] = "NO_MEMORY",
};

const char *vdb_status_name(vdb_status status) {
  size_t which = (size_t)status;
  return which < sizeof names / sizeof *names ? names[which] : "UNKNOWN";
}

static void store_text(vdb_error *error, const char *format, va_list arguments) {
  if (vsnprintf(error->message, sizeof error->message, format, arguments) < 0) error->message[0] = '\0';
}

vdb_status error_set(vdb_error *error, vdb_status status, const char *format, ...) {
  if (error == NULL) return status;
  va_list arguments;
  va_start(arguments, format);
  error->status = status;
  store_text(error, format, arguments);
  va_end(arguments);
  return status;
}

static vdb_status status_of(int number) {
  switch (number) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG: return VDB_FULL;
  case ENOMEM: return VDB_NO_MEMORY;
  case EROFS: return VDB_READONLY;
  default: return VDB_IO;
  }
}

vdb_status error_system(vdb_error *error, const char *format, ...) {
  int number = errno;
  vdb_status status = status_of(number);
  if (error == NULL) return status;
  va_list arguments;
  va_start(arguments, format);
  error->status = status;
  store_text(error, format, arguments);
  va_end(arguments);
  char reason[128];
  if (strerror_r(number, reason, sizeof reason) != 0) snprintf(reason, sizeof reason, "error %d", number);
  size_t used = strlen(error->message);
  snprintf(error->message + used, sizeof error->message - used, ": %s", reason);
  errno = number;
  return status;
}

vdb_status error_open(vdb_error *error, const char *name) {
  switch (errno) {
  case EINVAL:
  case ELOOP: return error_set(error, VDB_UNSUPPORTED, "%s is not a regular file: move it away", name);
  case EPERM:
    return error_set(error, VDB_UNSUPPORTED,
                     "%s belongs to another user than the store's folder, or everybody may write to it: "
                     "make sure that it is yours",
                     name);
  default: return error_system(error, "cannot open %s", name);
  }
}
