"""The daemon of a shop: keeps prices true on shelf and till, and reports to head office.

Start reading at `app.py` (what is wired to what), then `core.py` (how a message becomes durable) and `prices/switch.py`
(the rule that protects the customer). Protocols of devices live in the `drivers` package, not here.
"""

__version__ = "0.1.0"
