"""What a scanner read -> which product: GTINs, GS1 element strings, Digital Links, and the shop's own codes.

Start at `decode.py`. The shop's own codes of price and weight are described by `templates.py`, held apart by
`conflicts.py` and read by `variable.py`; the rest is GS1: `gtin.py` (digits), `carriers.py` (which barcode it was),
`elements.py` (application identifiers), `measures.py` (their values), `epc.py` (RFID tags). Pure: no clock, no I/O.
Not here: whether the shop sells the product, and what it costs.
"""

from gateway.codes.decode import CodeTable, Decoded
from gateway.codes.templates import CodeTemplate

__all__ = ["CodeTable", "CodeTemplate", "Decoded"]
