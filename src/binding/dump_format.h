/*
** dump_format.h - the bytes of a dump, shared by its writer and its reader.
**
**   dump    = VERSION value
**   value   = NULL | FALSE | TRUE | NAN
**           | FLOAT 8 bytes           IEEE 754 double, never NaN
**           | integer | string
**           | TABLE fields
**           | OBJECT class fields     a table with the metatable of the class
**           | REBUILT class value     what the dump function of the class returned
**           | FUNCTION string         bytecode
**           | REFERENCE integer       an earlier TABLE, OBJECT, REBUILT or FUNCTION, counted from 0
**   fields  = value* END              items 1, 2, 3 ...
**             (key value)* END        all other fields
**   key     = FALSE | TRUE | integer | FLOAT 8 bytes | string
**   class   = string | integer        its name; from the second time on its number, counted from 0
**   integer = SMALL + number          0 .. 127
**           | POSITIVE + n - 1        n bytes follow: the number
**           | NEGATIVE + n - 1        n bytes follow: -1 - the number
**   string  = SHORT_STRING + size     as many bytes follow, up to 63
**           | LONG_STRING + n - 1     n bytes follow: the size; then as many bytes
**
** What is longer than a byte has its lowest byte first. Every value has one dump, and a reader refuses any other:
** integers and sizes take the fewest bytes, a float that equals a 64-bit integer is that integer when it is a key, the
** items go on until the first that is nil, and the other keys ascend: false, true, integers, floats, strings. Numbers
** ascend by value, strings byte by byte.
*/
#ifndef VIPERDB_DUMP_FORMAT_H
#define VIPERDB_DUMP_FORMAT_H

#pragma GCC visibility push(hidden)

#define DUMP_VERSION 1

enum dump_tag {
  DUMP_END = 0x00,
  DUMP_NULL = 0x01,
  DUMP_FALSE = 0x02,
  DUMP_TRUE = 0x03,
  DUMP_NAN = 0x04,
  DUMP_FLOAT = 0x05,
  DUMP_TABLE = 0x06,
  DUMP_OBJECT = 0x07,
  DUMP_REBUILT = 0x08,
  DUMP_FUNCTION = 0x09,
  DUMP_REFERENCE = 0x0A,
  DUMP_SMALL = 0x20,        /* .. 0x9F */
  DUMP_POSITIVE = 0xA0,     /* .. 0xA7 */
  DUMP_NEGATIVE = 0xA8,     /* .. 0xAF */
  DUMP_SHORT_STRING = 0xB0, /* .. 0xEF */
  DUMP_LONG_STRING = 0xF0   /* .. 0xF3 */
};

#define DUMP_SMALL_COUNT 128      /* integers that are their own tag */
#define DUMP_SHORT_STRING_SIZE 63 /* bytes of the longest string whose size is in its tag */
#define DUMP_INTEGER_BYTES 8
#define DUMP_SIZE_BYTES 4

#pragma GCC visibility pop

#endif
