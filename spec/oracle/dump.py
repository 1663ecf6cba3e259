"""Reads the binary dump: a second reader of that format, made from docs/DUMP.md alone."""

import struct


class Table:
    """A Lua table: its items 1, 2, 3 ..., its other fields in the order of a dump, and the name of its class, if any."""

    def __init__(self, items=(), fields=(), name=None):
        self.items, self.fields, self.name = list(items), list(fields), name


class Rebuilt:
    def __init__(self, name):
        self.name, self.value = name, None


class Function:
    pass


END, NULL, FALSE, TRUE, NAN, FLOAT, TABLE, OBJECT, REBUILT, FUNCTION, REFERENCE = range(11)
SMALL, POSITIVE, NEGATIVE, SHORT_STRING, LONG_STRING = 0x20, 0xA0, 0xA8, 0xB0, 0xF0


class Reader:
    def __init__(self, octets):
        self.octets, self.at = octets, 0
        self.seen, self.classes = [], []

    def take(self, size):
        taken = self.octets[self.at : self.at + size]
        if len(taken) < size:
            raise ValueError("the dump ends at byte %d" % self.at)
        self.at += size
        return taken

    def byte(self):
        return self.take(1)[0]

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def integer(self, first):
        if first < POSITIVE:
            return first - SMALL
        if first < NEGATIVE:
            return self.number(first - POSITIVE + 1)
        return -1 - self.number(first - NEGATIVE + 1)

    def string(self, first):
        size = first - SHORT_STRING if first < LONG_STRING else self.number(first - LONG_STRING + 1)
        return self.take(size)

    def class_name(self):
        first = self.byte()
        if first < SHORT_STRING:
            return self.classes[self.integer(first)]
        self.classes.append(self.string(first).decode())
        return self.classes[-1]

    def counted(self, value):
        self.seen.append(value)
        return value

    def fill(self, table):
        for first in iter(self.byte, END):
            table.items.append(self.value(first))
        for first in iter(self.byte, END):
            table.fields.append((self.value(first), self.value(self.byte())))
        return table

    def object(self):
        table = self.counted(Table())
        table.name = self.class_name()
        return self.fill(table)

    def rebuilt(self):
        rebuilt = self.counted(Rebuilt(None))
        rebuilt.name = self.class_name()
        rebuilt.value = self.value(self.byte())
        return rebuilt

    def function(self):
        function = self.counted(Function())
        self.string(self.byte())
        return function

    def value(self, first):
        if first >= SHORT_STRING:
            return self.string(first)
        if first >= SMALL:
            return self.integer(first)
        kinds = {
            NULL: lambda: None,
            FALSE: lambda: False,
            TRUE: lambda: True,
            NAN: lambda: float("nan"),
            FLOAT: lambda: struct.unpack("<d", self.take(8))[0],
            TABLE: lambda: self.fill(self.counted(Table())),
            OBJECT: self.object,
            REBUILT: self.rebuilt,
            FUNCTION: self.function,
            REFERENCE: lambda: self.seen[self.integer(self.byte())],
        }
        return kinds[first]()


def read(octets):
    reader = Reader(octets)
    if reader.byte() != 1:
        raise ValueError("the dump has another version")
    value = reader.value(reader.byte())
    if reader.at < len(octets):
        raise ValueError("the dump goes on behind byte %d" % reader.at)
    return value
