"""expected.py FILE [doubles]: prints what a values.expected.json says, in the form of load.py."""

import json
import sys

from load import Printer


def entries(expected):
    yield from expected["string_keys"].items()
    lone = expected["lone_surrogate_key"]
    yield bytes.fromhex(lone["key_bytes_hex"]), lone["value"]
    yield from expected["other_keys"]
    yield expected["bytes_key"]["key"], bytes.fromhex(expected["bytes_key"]["hex"])
    yield expected["empty_bytes_key"], b""


def main(file, *options):
    printer = Printer("doubles" in options)
    with open(file) as stream:
        expected = json.load(stream)
    for key, value in entries(expected):
        if isinstance(key, float) and key == int(key):
            key = int(key)
        print(printer.text(key), "-", printer.text(value), sep="\t")
    print(printer.text(expected["pickled_key"]), "-", "unsupported", sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
