#!/usr/bin/env python3
"""Simulates a billion deliveries a day over 1 to 64 shards of a Redis Cluster, and prints the tables of docs/fleet.md.

    benches/capacity.py          prints the tables
    benches/capacity.py --check  fails unless docs/fleet.md contains them, and unless the slots are those of Redis

The load is that of a day with one peak. Each webhook id has the slot that Redis gives to its keys, and each shard has an
equal part of the slots. Around the peak, every second of each shard is simulated: its arrivals, the retries that are due,
and the deliveries that it cannot serve. The seed is fixed, so the output is always the same.
"""

import binascii
import collections
import hashlib
import math
import pathlib
import random
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/fleet.md"

# Measured by `cargo bench --features redis --bench redis` on a node of a cluster: accepted deliveries a second over 64
# connections, with the clients on the same machine, and bytes of a remembered delivery. The bench has the same numbers.
SHARD_RATE = 20_000
DELIVERY_BYTES = 230

DAILY = 1_000_000_000
MEAN = DAILY / 86_400
# The busiest second has twice the mean of the day.
PEAK = 2 * MEAN
# Seconds for which a delivery is remembered without a delivery id, and with one.
FRESH, WITH_ID = 322, 3 * 86_400

SENDERS = 10_000
SLOTS = 16_384
SHARDS = (1, 2, 4, 8, 16, 32, 64)

# `cluster-node-timeout` (15 s by default), the election, and the time until the store follows.
PROMOTION = 20
# Replication is asynchronous: what the lost primary answered in this time may be missing on the replica.
LAG = 1
# Seconds after which a sender repeats a delivery that was answered 503. Then it gives up.
RETRIES = (5, 10, 20, 40, 80, 160, 320, 640)
# The simulated part of the day, in seconds, and the second of the loss.
SPAN, LOSS = 1_200, 60


def slot(webhook_id):
    """The slot of all keys of a webhook id: their hash tag is the first half of its SHA-256."""
    tag = hashlib.sha256(webhook_id.encode()).hexdigest()[:32]
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


class Senders:
    """The part that each webhook id has of the traffic."""

    def __init__(self, weights):
        total = sum(weights)
        self.parts = [(slot(f"sender-{number}"), weight / total) for number, weight in enumerate(weights)]

    def shards(self, count):
        """The part of the traffic and the number of webhook ids of each shard."""
        traffic, ids = [0.0] * count, [0] * count
        for place, part in self.parts:
            shard = place * count // SLOTS
            traffic[shard] += part
            ids[shard] += 1
        return traffic, ids


# All senders alike, and one of ten thousand with a tenth of the traffic, the next with half as much, and so on.
EVEN = Senders([1] * SENDERS)
SKEWED = Senders([1 / (rank + 1) for rank in range(SENDERS)])
BUSIEST = max(part for _, part in SKEWED.parts)


def poisson(rng, mean):
    """Many independent senders a second: the normal distribution is close enough."""
    return max(0, round(rng.gauss(mean, math.sqrt(mean))))


class Shard:
    """One shard, second by second. `highest` is its busiest second after the promotion."""

    def __init__(self, mean, rng):
        self.mean, self.rng = mean, rng
        # For each second, the deliveries that are sent again then, by the number of attempts before.
        self.due = collections.defaultdict(collections.Counter)
        self.refused, self.given_up, self.highest, self.last_refusal = 0, 0, 0, None

    def second(self, now, serves):
        attempts = self.due.pop(now, collections.Counter())
        attempts[0] += poisson(self.rng, self.mean)
        if now >= LOSS + PROMOTION:
            self.highest = max(self.highest, attempts.total())
        surplus = max(0, attempts.total() - serves)
        if surplus:
            self.last_refusal = now
        # The oldest are served first.
        for attempt in sorted(attempts):
            failed = min(surplus, attempts[attempt])
            surplus -= failed
            if attempt == 0:
                self.refused += failed
            if attempt == len(RETRIES):
                self.given_up += failed
            elif failed:
                self.due[now + RETRIES[attempt]][attempt + 1] += failed


def simulate(senders, count, lost=None):
    """The shards after the busiest part of the day. `lost` is without a primary from `LOSS` for the time of a promotion."""
    traffic, _ = senders.shards(count)
    shards = [Shard(part * PEAK, random.Random(f"{count} {index}")) for index, part in enumerate(traffic)]
    for now in range(SPAN):
        for index, shard in enumerate(shards):
            is_lost = index == lost and LOSS <= now < LOSS + PROMOTION
            shard.second(now, 0 if is_lost else SHARD_RATE)
    return shards


def thousands(number):
    return f"{round(number):,}"


def size(number):
    return f"{number / 1e9:.2f} GB" if number < 1e10 else f"{number / 1e9:,.0f} GB"


def table(head, rows):
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def distribution():
    rows = []
    for count in SHARDS:
        even, ids = EVEN.shards(count)
        skewed, _ = SKEWED.shards(count)
        largest = max(skewed)
        rows.append([
            str(count),
            f"{thousands(min(ids))} to {thousands(max(ids))}",
            thousands(max(even) * PEAK),
            thousands(largest * PEAK),
            f"{largest * PEAK / SHARD_RATE:.0%}",
            size(largest * MEAN * 2 * FRESH * DELIVERY_BYTES),
            size(largest * DAILY * WITH_ID / 86_400 * DELIVERY_BYTES),
        ])
    return table(
        ["shards", "webhook ids of a shard", "alike: deliveries/s", "skewed: deliveries/s", "load", "remembered", "with ids"],
        rows,
    )


def loss():
    rows = []
    for count in SHARDS:
        traffic, ids = SKEWED.shards(count)
        # The worst case.
        lost = traffic.index(max(traffic))
        shard = simulate(SKEWED, count, lost)[lost]
        others = 1 - traffic[lost]
        if shard.given_up or shard.last_refusal is not None and shard.last_refusal > SPAN - RETRIES[0]:
            drained = "never"
        else:
            drained = f"{max(0, shard.last_refusal + 1 - LOSS - PROMOTION)} s"
        rows.append([
            str(count),
            f"{ids[lost] / SENDERS:.0%}",
            f"{max(0, others):.0%}",
            thousands(shard.refused) if drained != "never" else "overload",
            thousands(shard.highest) if drained != "never" else "overload",
            drained,
            thousands(traffic[lost] * PEAK * LAG),
        ])
    return table(
        ["shards", "ids without service", "traffic with service", "refused once", "highest rate after", "last 503 after",
         "commits at risk"],
        rows,
    )


def tables():
    return {"distribution": distribution(), "loss": loss()}


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    # Known slots: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    assert binascii.crc_hqx(b"123456789", 0) == 0x31C3
    assert binascii.crc_hqx(b"foo", 0) % SLOTS == 12_182
    page = PAGE.read_text(encoding="utf-8") if check else ""
    facts = (f"{thousands(MEAN)} deliveries a second", f"{BUSIEST:.1%} of the traffic", f"{thousands(SENDERS)} webhook ids",
             f"reach {thousands(SHARD_RATE)} a second", f"about {DELIVERY_BYTES} bytes", f"for {PROMOTION} s")
    # The page is wrapped.
    words = " ".join(page.split())
    missing = [f"docs/fleet.md does not say: {fact}" for fact in facts if check and fact not in words]
    for name, text in tables().items():
        if not check:
            print(f"{name}\n\n{text}\n")
        elif text not in page:
            missing.append(f"docs/fleet.md does not have the table that this script prints as {name}")
    if not check:
        print(f"The busiest webhook id has {BUSIEST:.1%} of the skewed traffic, {thousands(BUSIEST * PEAK)}/s at the peak.")
    print("\n".join(missing) or ("the tables of docs/fleet.md are up to date" if check else ""))
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
