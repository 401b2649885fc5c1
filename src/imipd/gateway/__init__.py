"""The door of the gateway: one mail in, one answer for each recipient out; or what would be done, without doing it.

A driver, opened by ``cli`` alone: ``undo``, which takes back what one entry of the ledger did.
"""

from .deliver import Bounds, Doors, Gateway
from .judgement import Arrival, Judgement
from .lanes import Lanes, prepare
from .passing import PassingOn

__all__ = ["Arrival", "Bounds", "Doors", "Gateway", "Judgement", "Lanes", "PassingOn", "prepare"]
