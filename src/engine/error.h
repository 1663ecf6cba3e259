/*
** error.h - filling a vdb_error. Every function returns the status it stored; a NULL error is allowed.
*/
#ifndef VIPERDB_ERROR_H
#define VIPERDB_ERROR_H

#include "viperdb.h"

#pragma GCC visibility push(hidden)

#if defined(__GNUC__)
#define ERROR_FORMAT __attribute__((format(printf, 3, 4)))
#define ERROR_SYSTEM_FORMAT __attribute__((format(printf, 2, 3)))
#else
#define ERROR_FORMAT
#define ERROR_SYSTEM_FORMAT
#endif

vdb_status error_set(vdb_error *error, vdb_status status, const char *format, ...) ERROR_FORMAT;

/* The failed system call behind errno: the text, then ": " and what the system calls it. Keeps errno. */
vdb_status error_system(vdb_error *error, const char *format, ...) ERROR_SYSTEM_FORMAT;

/* A file of the store that os_open_regular could not open, or would not. */
vdb_status error_open(vdb_error *error, const char *name);

#pragma GCC visibility pop

#endif
