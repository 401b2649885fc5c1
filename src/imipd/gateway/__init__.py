"""The door of the gateway: one mail in, one answer for each recipient out; or what would be done, without doing it.

And what one entry of the ledger did, taken back.
"""

from .deliver import Bounds, Doors, Gateway
from .judgement import Arrival, Judgement
from .passing import PassingOn
from .undo import Hindrance, Undoing, undo, undoing

__all__ = ["Arrival", "Bounds", "Doors", "Gateway", "Hindrance", "Judgement", "PassingOn", "Undoing", "undo", "undoing"]
