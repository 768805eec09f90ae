"""What must survive: one SQLite file, one writer thread. Start at `store.py`; `apply_*.py` keep what messages say."""
