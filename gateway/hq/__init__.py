"""Head office's side of the line, as a person or a program needs it: `aisled hq`.

This is the reference for head office's own developers. Read `wire.py` (topics and events), then `client.py` (MQTT:
how to lose nothing), `orders.py` (what to send), `completeness.py` (how to prove that nothing is missing) and
`progress.py` (how a price wave goes). It knows only the contract with the gateway, nothing of the daemon's inside.
"""
