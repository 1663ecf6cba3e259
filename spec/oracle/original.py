"""original.py FOLDER ... CALLS: writes to a store as ViperDB for Python does, for specs that read it afterwards.

CALLS is a JSON array of calls, done in this order:

    ["set", key, value]    ["set", key, value, expiration]    ["del", key]    ["reclaim"]
"""

import json
import os
import sys
import time
import zlib


def checksum_of(record, value=None):
    text = json.dumps(record, sort_keys=True).encode()
    return zlib.crc32(text if value is None else text + b":" + value)


class Original:
    def __init__(self, folder):
        self.key_path, self.value_path = folder + "/db.klog", folder + "/db.vlog"
        self.key_log = open(self.key_path, "a")
        self.value_log = open(self.value_path, "ab")

    def add(self, record, value=None):
        record["checksum"] = checksum_of(record, value)
        self.key_log.write(json.dumps(record) + "\n")

    def set(self, key, value, expiration=None):
        octets = json.dumps(value).encode()
        record = {"type": "set", "timestamp": int(time.time() * 1000), "key": key, "encoding": "json"}
        record.update(offset=self.value_log.tell(), size=len(octets))
        if expiration is not None:
            record["expiration"] = expiration
        self.add(record, octets)
        self.value_log.write(octets)

    def delete(self, key):
        self.add({"type": "del", "timestamp": int(time.time() * 1000), "key": key})

    def close(self):
        self.key_log.close()
        self.value_log.close()

    def living(self):
        records, now = {}, time.time() * 1000
        for line in open(self.key_path):
            record = json.loads(line)
            records.pop(record["key"], None)
            if record["type"] == "set":
                records[record["key"]] = record
        return [record for record in records.values() if record.get("expiration", now + 1) > now]

    def reclaim(self):
        """Writes new files, in the field order of the original's reclaim, and puts them in place of the old ones."""
        self.close()
        with open(self.value_path, "rb") as file:
            old_values = file.read()
        records = self.living()
        self.key_log, self.value_log = open(self.key_path + ".tmp", "w"), open(self.value_path + ".tmp", "wb")
        for old in records:
            value = old_values[old["offset"] : old["offset"] + old["size"]]
            names = ("type", "key", "timestamp", "offset", "size", "encoding", "expiration")
            record = {name: old[name] for name in names if name in old}
            record["offset"] = self.value_log.tell()
            self.add(record, value)
            self.value_log.write(value)
        self.close()
        os.rename(self.key_path + ".tmp", self.key_path)
        os.rename(self.value_path + ".tmp", self.value_path)
        self.__init__(os.path.dirname(self.key_path))


def main(folder, *rest):
    store = Original(folder)
    calls = {"set": store.set, "del": store.delete, "reclaim": store.reclaim}
    for name, *arguments in json.loads(rest[-1]):
        calls[name](*arguments)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
