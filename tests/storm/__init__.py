"""Bad days on real servers: what is done to imipd, and what must hold all the same.

`proxy` spoils what passes between imipd and the calendar server, `weather` runs a queue of mails, imipd and another
writer through it, `__main__` makes the figures.
"""
