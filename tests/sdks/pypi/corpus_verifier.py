"""The SDKs of check.py as a verifier for examples/corpus.py: `corpus.py corpus_verifier:verify`."""

import base64, datetime, functools, sys, time, types
from unittest import mock

before = set(sys.modules)

import check

sys.stdout = check.answers


class Clock(datetime.datetime):
    """`datetime` with the time of corpus.py, which replaces `time.time`."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)


system_time = time.time
REPLACED = {
    id(system_time): lambda: time.time(),
    id(datetime.datetime): Clock,
    id(datetime): types.SimpleNamespace(**vars(datetime) | {"datetime": Clock}),
}

# The SDK of Pusher compares a time in the body with the clock, and a header that is not signed with the key.
NAMES = sorted(set(check.PROVIDERS) - {"pusher"})


@functools.cache
def load(name):
    """Imports the SDK of a provider, and gives its modules the clock."""
    # corpus.py has replaced the function, and a module that imports it would keep the replacement.
    with mock.patch("time.time", system_time):
        sdk = check.PROVIDERS[name]["load"]()
    for module in [module for known, module in sys.modules.items() if known not in before and module is not None]:
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in REPLACED and module.__name__ not in ("check", __name__):
                setattr(module, attribute, REPLACED[id(value)])
    return sdk


def verify(message):
    provider = check.PROVIDERS[message.provider]
    sdk = load(message.provider)
    delivery = check.Delivery({
        "headers": message.headers,
        "body": base64.b64encode(message.body),
        "secret": message.key,
        "url": message.url,
        "method": message.method,
        "now": message.now,
    })
    try:
        return provider["verify"](sdk, delivery)
    except Exception as error:
        if "passed" in provider and provider["passed"](error):
            return True
        raise
