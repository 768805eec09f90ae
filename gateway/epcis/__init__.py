"""EPCIS 2.0 export (optional): what happened to items, as the standard's events, to a repository's capture interface.

Facts -> items in steps (`mapping.py`) -> kept in the commit of the facts (`store/apply_epcis.py`) -> one event for each
step, place and bucket of seconds (`compose.py`, names of things in `names.py`) -> sent until it is taken
(`exporter.py`, one attempt in `capture.py`). Settings: `settings.py`. The native stream to head office is another
thing and complete; EPCIS has no words for reads, power, doubt and absence.
"""
