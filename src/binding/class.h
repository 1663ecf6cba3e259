/*
** class.h - the metatables that values are stored with, each under a name.
**
** One registry a Lua state. It keeps what is registered alive; nothing is ever taken out, so a name in a store has one
** meaning as long as the program runs. Nothing is required or loaded by a name that comes from a store.
*/
#ifndef VIPERDB_CLASS_H
#define VIPERDB_CLASS_H

#include "compat.h"

#pragma GCC visibility push(hidden)

#define CLASS_MAX_NAME_SIZE 255

/* Slots of the table that stands for a class. Dump and load are both functions or both nil. */
#define CLASS_NAME 1
#define CLASS_METATABLE 2
#define CLASS_DUMP 3
#define CLASS_LOAD 4

/*
** viperdb.register(name, metatable [, {dump = f, load = f}]): raises on misuse.
** dump(object) returns a plain value to store in its place, load(value) returns the object.
** Registering the same pair again replaces the functions.
*/
int class_register(lua_State *L);

/* Replace the metatable or the name on top by its class, or by nil. Both raise nothing but memory errors. */
void class_find(lua_State *L);

#pragma GCC visibility pop

#endif
