"""EPC decoding: hex -> GTIN, serial, URN and Digital Link in one pass, beside `epcpy` (which makes URN and key).

`python -m bench epc`. In the gateway most reads are of tags that were seen before, and those are not decoded again.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from epcpy.utils.parsers import hex_to_tag_encodable

from gateway.codes.epc import decode, encode_sgtin96

TAGS = 50_000
RUNS = 5
TEXT_TAG = "3674257BF6B7A659B2C2BF1000000000000000000000000000"
OTHER_TAG = "E28011700000020F1234ABCD"


def foreign(epc: str) -> object:
    said: Any = hex_to_tag_encodable(epc)  # each scheme is a class of its own
    return said.epc_uri, said.gs1_key()


def per_s(work: Callable[[str], object], epcs: Sequence[str]) -> float:
    """Return the best of some runs, in CPU time: other work on the machine must not decide."""
    best = 0.0
    for _ in range(RUNS):
        start = time.process_time()
        for epc in epcs:
            work(epc)
        best = max(best, len(epcs) / (time.process_time() - start))
    return best


def main() -> None:
    """Print a row for each kind of tag."""
    sgtins = [encode_sgtin96("80614141123458", 7, serial) for serial in range(TAGS)]
    print(f"{'':24} {'ours /s':>10} {'epcpy /s':>10} {'ratio':>6}")
    for name, epcs in (("SGTIN-96", sgtins), ("SGTIN-198, 5 characters", [TEXT_TAG] * TAGS)):
        ours, theirs = per_s(decode, epcs), per_s(foreign, epcs[: TAGS // 5])
        print(f"{name:24} {ours:10,.0f} {theirs:10,.0f} {ours / theirs:6.1f}")
    print(f"{'no EPC of GS1':24} {per_s(decode, [OTHER_TAG] * TAGS):10,.0f} {'an error':>10}")


if __name__ == "__main__":
    main()
