"""The line to head office: `mqtt.py` (paho and asyncio), `publisher.py` (outbox up), `commands.py` (orders down)."""
