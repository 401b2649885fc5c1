"""The ledger's tables, revision by revision. Applied by `schema.py`; there is no alembic.ini.

A new revision is a new file in `versions/` with the next number, which is then the `HEAD` of `tables.py`.
A revision never imports `tables.py`: it has to say the same next year.
"""
