"""The SDKs of check.py as a verifier for examples/corpus.py: `corpus.py corpus_verifier:verify`."""

import base64, datetime, functools, sys, time, types
from unittest import mock

import check

sys.stdout = check.answers

# The SDK of Pusher compares a time in the body with the clock, and a header that is not signed with the key. HTTP Message
# Signatures are not of a provider. The others take seconds to import, and many of them verify with the package of Standard
# Webhooks.
LEFT_OUT = set("""
    pusher
    http_message_signatures
    airtable anthropic composio dodo_payments imagekit increase line lithic modern_treasury onfido openai polar retell
    sinch_numbers telnyx
""".split())
NAMES = sorted(set(check.PROVIDERS) - LEFT_OUT)


class Clock(datetime.datetime):
    """`datetime` with the clock of corpus.py, which replaces only `time.time`."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)


known = set(sys.modules)
system_clock = datetime.datetime
replaced = {id(system_clock): Clock, id(datetime): types.SimpleNamespace(**vars(datetime) | {"datetime": Clock})}


@functools.cache
def load(name):
    """Imports the SDK of a provider, and then gives its modules the clock: their models must have the system's type."""
    with mock.patch.object(datetime, "datetime", system_clock):
        sdk = check.PROVIDERS[name]["load"]()
    # For modules that the SDK imports later.
    datetime.datetime = Clock
    new = [module for name, module in sys.modules.items() if name not in known]
    known.update(sys.modules)
    for module in new:
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in replaced:
                setattr(module, attribute, replaced[id(value)])
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
