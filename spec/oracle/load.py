"""load.py FOLDER [doubles] [ours]: prints what a store's folder holds, one line a key, in the order of the last write:

    key <tab> expiration in milliseconds, or - <tab> value

A second reader of the format, made from docs/FORMAT.md alone, for specs that compare it with the C code. Keys and values
are printed in a form of this script's own that any language can print exactly: floats with 17 digits, bytes in hex. A
table is its class, its items and its other fields in the order of a dump; ^N is the table that was the Nth to begin.

doubles   all numbers are floats, as in a Lua without integers
ours      every line has to be in the form that ViperDB itself writes

What is wrong with the folder is told on stderr, with the byte, and the exit code is 1. A value that does not fit its
checksum is printed as `damaged`, one in an encoding that only others read as `unsupported`.
"""

import json
import sys
import time
import zlib

import dump
from dump import Table


class Damaged(Exception):
    pass


def lines_of(log):
    """The lines with their offsets. A blank one ends the log, and so does one without a newline."""
    start = 0
    while True:
        end = log.find(b"\n", start)
        if end == -1 or end == start:
            return
        yield start, log[start:end]
        start = end + 1


def bytes_of(string):
    return string.encode("utf-8", "surrogateescape")


def canonical_key(key):
    """The key as its text says it: a float that is an integer of 64 bits is that integer."""
    if isinstance(key, str):
        return bytes_of(key).decode("utf-8", "surrogateescape")
    if isinstance(key, float) and -(2.0**63) <= key < 2.0**63 and key == int(key):
        return int(key)
    if isinstance(key, (bool, int, float)) and key == key:
        return key
    raise Damaged("has a key that is none")


def has_our_form(line, text, checksum):
    return line == text[:-1].encode() + b', "checksum": %d}' % checksum


class Store:
    def __init__(self, folder, ours):
        with open(folder + "/db.klog", "rb") as file:
            self.key_log = file.read()
        with open(folder + "/db.vlog", "rb") as file:
            self.value_log = file.read()
        self.ours = ours
        self.records = {}
        self.newest_lines = {}

    def parse(self, line):
        """The record in a line; its value is None when the checksum does not fit."""
        record = json.loads(line)
        checksum = record.pop("checksum")
        text = json.dumps(record, sort_keys=True)
        if self.ours and not has_our_form(line, text, checksum):
            raise Damaged("is not in our form")
        checked = text.encode()
        if record["type"] == "set":
            end = record["offset"] + record["size"]
            value = self.value_log[record["offset"] : end]
            record["value"] = value if len(value) == record["size"] else None
            checked += b":" + value
        if zlib.crc32(checked) != checksum:
            if record["type"] == "del":
                raise Damaged("does not fit its checksum")
            record["value"] = None
        return record

    def apply(self, start, record):
        key = canonical_key(record["key"])
        text = json.dumps(key)
        previous = self.newest_lines.get(text)
        if record.get("prev", previous) != previous or (self.ours and record.get("prev") != previous):
            raise Damaged("has a wrong prev")
        self.newest_lines[text] = start
        found = self.records.pop(text, None)
        if record["type"] == "set":
            self.records[text] = key, record
        elif found is None:
            raise Damaged("deletes a key that is not there")

    def read(self):
        batch = []
        for start, line in lines_of(self.key_log):
            try:
                record = self.parse(line)
                if batch and record.get("batch", 0) != batch[-1][1]["batch"] - 1:
                    raise Damaged("does not go on with its batch")
                batch.append((start, record))
                if record.get("batch", 0) == 0:
                    for at, entry in batch:
                        self.apply(at, entry)
                    batch = []
            except (Damaged, ValueError, KeyError) as problem:
                raise SystemExit("db.klog line at byte %d: %s" % (start, problem))

    def living(self):
        now = time.time() * 1000
        for key, record in self.records.values():
            expiration = record.get("expiration")
            if expiration is None or expiration > now:
                yield key, expiration, record


def table_of(value):
    """A JSON value with tables in place of lists and objects, as a dump has them."""
    if isinstance(value, list):
        return Table(items=[table_of(element) for element in value])
    if isinstance(value, dict):
        return Table(fields=sorted((bytes_of(name), table_of(value[name])) for name in value))
    return value


class Printer:
    def __init__(self, doubles):
        self.doubles = doubles
        self.seen = []

    def number(self, number):
        if number != number:
            return "nan"
        if self.doubles:
            return "%.17g" % number
        return "%d" % number if isinstance(number, int) else "float %.17g" % number

    def string(self, octets):
        plain = (chr(c) if 32 <= c <= 126 and c not in b'"\\' else "\\%02x" % c for c in octets)
        return '"' + "".join(plain) + '"'

    def table(self, table):
        for number, other in enumerate(self.seen):
            if other is table:
                return "^%d" % number
        self.seen.append(table)
        parts = [self.part(item) for item in table.items]
        parts += [self.part(key) + "=" + self.part(value) for key, value in table.fields]
        return (table.name or "") + "{" + ",".join(parts) + "}"

    def part(self, value):
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return self.number(value)
        if isinstance(value, str):
            return self.string(bytes_of(value))
        return self.string(value) if isinstance(value, bytes) else self.table(value)

    def text(self, value):
        self.seen = []
        return self.part(table_of(value))

    def record_value(self, record):
        if record["value"] is None:
            return "damaged"
        if record["encoding"] == "json":
            return self.text(json.loads(record["value"]))
        if record["encoding"] == "bytes":
            return self.text(record["value"])
        return self.text(dump.read(record["value"])) if record["encoding"] == "lua" else "unsupported"

    def line(self, key, expiration, record):
        expires = "-" if expiration is None else "%d" % expiration
        return "\t".join((self.text(key), expires, self.record_value(record)))


def main(folder, *options):
    store = Store(folder, "ours" in options)
    store.read()
    printer = Printer("doubles" in options)
    for entry in store.living():
        print(printer.line(*entry))


if __name__ == "__main__":
    main(*sys.argv[1:])
