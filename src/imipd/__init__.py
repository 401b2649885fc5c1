"""imipd carries iTIP messages from the mail into CalDAV calendars, at delivery.

The flow, from socket to effect: ``ingress`` takes a mail from the MTA, ``gateway.deliver`` reads it
(``mail.read``), decides (``itip.decide``, pure), writes down what it intends (``ledger``), carries it out
(``store.replace`` with the ETag it decided on) and completes the ledger entry; only then the MTA hears 250.

The rules of the house:

- Deciding is pure: no socket, no file, no clock. One place, the gateway, carries a decision out.
- The MTA is the queue, the calendar server is the truth, the ledger is the memory; there is no fourth place.
- A room is entered by its door, its ``__init__.py``; drivers are opened by ``cli`` alone. ``tests/test_walls.py``
  holds the table of who may import whom.
- ``from .x`` means "my room", ``from imipd.x`` means "through a wall".
"""
