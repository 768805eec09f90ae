"""Prices from head office to the glass. Read `switch.py` first: its two guards are the promise to the customer."""
