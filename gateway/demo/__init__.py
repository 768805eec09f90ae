"""`aisled demo`: a whole shop on this machine, real except for the radio. Needs no root, no broker, no hardware.

`show.py` is the entry; `stage.py` starts the broker, the access points and the daemon; `script.py` is what head office
does; `audit.py` compares what labels truly show with what the tills charge; `screen.py` draws it.
"""
