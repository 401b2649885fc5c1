"""The door of the gateway: one mail in, one answer for each recipient out; or what would be done, without doing it."""

from .deliver import Bounds, Doors, Gateway
from .judgement import Arrival, Judgement

__all__ = ["Arrival", "Bounds", "Doors", "Gateway", "Judgement"]
