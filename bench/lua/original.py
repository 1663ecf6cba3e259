"""original.py FOLDER KEYS RUN: the Python original with the keys, values and records of bench/lua/measure.lua.

Its own dictionary interface is used, as its README shows it. Prints a line a measurement, as bench/measure.h has them.
"""

import gc
import hashlib
import importlib
import importlib.metadata
import platform
import random
import shutil
import sys
import time

import viperdb

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def shuffled_keys(count, last, seed):
    keys = ["%015d%s" % (i, last) for i in range(1, count + 1)]
    random.Random(seed).shuffle(keys)
    return keys


def texts():
    choose = random.Random(3).choices
    return ["".join(choose(LETTERS, k=100)) for _ in range(1000)]


def records():
    number = random.Random(4).randint
    return [
        {
            "name": "user %d" % i,
            "age": number(1, 90),
            "score": number(1, 1000) / 8,
            "tags": ["red", "green", "blue"],
            "active": i % 2 == 0,
        }
        for i in range(1000)
    ]


def put(db, keys, values):
    for i, key in enumerate(keys):
        db[key] = values[i % 1000]


def get(db, keys):
    found = 0
    for key in keys:
        if db[key] is not None:
            found += 1
    return found


def delete(db, keys):
    for key in keys:
        del db[key]


def version():
    """That of the package, or else of the file the class comes from."""
    try:
        return importlib.metadata.version("viperdb")
    except importlib.metadata.PackageNotFoundError:
        source = importlib.import_module(viperdb.ViperDB.__module__).__file__
        with open(source, "rb") as file:
            return "source with SHA-256 " + hashlib.sha256(file.read()).hexdigest()[:12]


class Bench:
    def __init__(self, keys, run):
        self.keys, self.run = keys, run

    def time(self, workload, call, *arguments):
        gc.collect()
        start = time.perf_counter_ns()
        result = call(*arguments)
        each = (time.perf_counter_ns() - start) / self.keys
        print("Python original\tpython: %s\t%d\t%s\t%.2f" % (workload, self.keys, self.run, each), flush=True)
        return result


def main(folder, count, run):
    print("package\tPython\t%s" % platform.python_version())
    print("package\tviperdb for Python\t%s" % version())
    bench = Bench(int(count), run)
    shutil.rmtree(folder, ignore_errors=True)
    db = viperdb.ViperDB(folder)
    keys, values = shuffled_keys(bench.keys, "a", 1), texts()
    absent = shuffled_keys(bench.keys, "b", 2)
    bench.time("put", put, db, keys, values)
    assert all(db[key] == values[i % 1000] for i, key in enumerate(keys[:1000]))
    assert bench.time("get", get, db, keys) == bench.keys
    assert bench.time("get absent", get, db, absent) == 0
    bench.time("overwrite", put, db, keys, values)
    bench.time("delete", delete, db, keys)
    more, small = shuffled_keys(bench.keys, "c", 5), records()
    bench.time("put record", put, db, more, small)
    assert all(db[key] == small[i % 1000] for i, key in enumerate(more[:1000]))
    assert bench.time("get record", get, db, more) == bench.keys
    db.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
