"""The door to the configuration: TOML in, frozen values out, or every problem at once.

`load` is the only way in. A value that comes out is complete and consistent; what only `check` shall mention,
because it works and is unwise, is a warning.
"""

from .cautions import warnings
from .errors import ConfigError, Problem
from .file import find, load, override
from .listening import Listening
from .places import AccountSection, DomainSection, Place, PolicyDefaults, PolicySection
from .secret import passwords
from .settings import Config

__all__ = [
    "AccountSection",
    "Config",
    "ConfigError",
    "DomainSection",
    "Listening",
    "Place",
    "PolicyDefaults",
    "PolicySection",
    "Problem",
    "find",
    "load",
    "override",
    "passwords",
    "warnings",
]
