"""Drivers: one file per protocol. The file name is the registration; files that start with `_` are shared codecs.

A driver knows `gateway.driver`, `gateway.errors`, `gateway.messages` and `drivers._*`, and nothing else of ours.
"""
