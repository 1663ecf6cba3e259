/*
** record_parts.h - what the record files share among themselves; the rest of the engine includes record.h.
**
**   record.c          the line: print, parse in our order, check
**   record_key.c      a key's canonical text
**   record_foreign.c  every other line that Python's json reads
*/
#ifndef VIPERDB_RECORD_PARTS_H
#define VIPERDB_RECORD_PARTS_H

#include "record.h"

#pragma GCC visibility push(hidden)

/* Length of the canonical key text at the start of text[0 .. size), 0 if there is none. */
size_t record_scan_key(const char *text, size_t size);

/* record_parse's way for a line that is not in our order. Any line may take it and reads the same. */
vdb_status record_parse_foreign(const char *line, size_t size, record *entry, record_scratch *scratch);

#pragma GCC visibility pop

#endif
