/*
** scratch.h - the memory in which a handle encodes and decodes, lent to one call at a time.
**
** Whatever allocates through Lua may run a finalizer, and a finalizer may use the same store. So may the dump
** and load functions of classes. A call that starts inside another one must not touch the outer call's bytes:
** it finds the buffer lent and gets one of its own. If the outer call ends with a Lua error, its buffer is
** garbage like any other userdata, and the next call gets a new one; there is no state to repair.
*/
#ifndef VIPERDB_SCRATCH_H
#define VIPERDB_SCRATCH_H

#include "buffer.h"
#include "compat.h"

#pragma GCC visibility push(hidden)

#define SCRATCH_KEEP                                                                                         \
  ((size_t)1 << 20) /* a buffer that grew beyond this gives its memory back after the call */

/* Of the buffers made for a handle only the newest is kept, in slot SCRATCH_SLOT of its attached table. */
#define SCRATCH_SLOT 1
typedef struct scratch {
  buffer *newest; /* NULL before the first call that needs one */
  buffer *idle;   /* the newest, or NULL while it is lent */
} scratch;

/* Makes sure that there is an idle buffer. `owner` is a userdata whose attached table the handle uses. */
void scratch_prepare(lua_State *L, int owner, scratch *s);

/*
** Lends the idle buffer, empty, and pushes what keeps it alive, which must stay on the stack while it is in
** use. Allocates nothing, so that no finalizer runs between an engine call and the copy of its bytes.
*/
buffer *scratch_lend(lua_State *L, int owner, scratch *s);

void scratch_give_back(scratch *s, buffer *b);

/*
** Frees the memory, at once or when it is given back. When a Lua state is closed the buffer may have been collected before
** its handle was used for the last time.
*/
void scratch_end(scratch *s);

/* Pushes a new buffer that nothing but the stack keeps. */
buffer *scratch_push_buffer(lua_State *L);

#pragma GCC visibility pop

#endif
