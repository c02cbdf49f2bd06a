"""Runs the messages and near misses of `hookwarden providers --json` against a verifier in Python.

    hookwarden providers stripe --json | python3 corpus.py MODULE:FUNCTION

The function gets a `Message`. It returns false or raises an exception if it refuses the message. `time.time()` returns the
time at which the message arrives; the function must set any other clock. The exit code is 1 if a result differs that every
verifier must have. The format is documented at https://docs.rs/hookwarden/latest/hookwarden/guide/corpus/.
"""

import base64
import importlib
import json
import os
import sys
import time


class Message:
    """A message, and what a receiver knows."""

    def __init__(self, provider, document):
        self.provider = provider["name"]
        self.scheme = provider["scheme"]
        self.attack = document.get("attack", "vector")
        self.level = document.get("level", "must")
        self.expected = document["expected"]
        self.key = document.get("secret", document.get("public_key"))
        self.method, self.path, self.url = document["method"], document["path"], document.get("url")
        self.body = base64.b64decode(document["body_base64"]) if "body_base64" in document else document["body"].encode()
        self.now = document["now"]
        # As most frameworks pass them on: names in lower case, and the values of a repeated header joined (RFC 9110 5.3).
        self.headers = {}
        for name, value in document["headers"]:
            name = name.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value


def messages(document):
    if document["format"] != 1:
        sys.exit(f"format: must be 1, not {document['format']}")
    for provider in document["providers"]:
        for one in provider["vectors"] + provider["near_misses"]:
            yield Message(provider, one)


def outcome(verify, message):
    """Returns the result, and the exception that refused the message."""
    try:
        return ("accept" if verify(message) is not False else "reject"), ""
    except Exception as error:
        return "reject", type(error).__name__


def main(name):
    clock = {"now": 0}
    time.time = lambda: float(clock["now"])
    sys.path.insert(0, os.getcwd())
    module, _, function = name.partition(":")
    verify = getattr(importlib.import_module(module), function)
    count, differences = 0, {"must": 0, "should": 0}
    for message in messages(json.load(sys.stdin.buffer)):
        clock["now"] = message.now
        result, error = outcome(verify, message)
        differs = result != message.expected
        count, differences[message.level] = count + 1, differences[message.level] + differs
        mark = "differs" if differs else ""
        print(f"{message.provider:<24} {message.attack:<36} {message.level:<6} {result:<6} {mark:<7} {error}".rstrip())
    print(f"{count} messages, {differences['must']} differ that must not, {differences['should']} others differ")
    return count == 0 or differences["must"] > 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
