"""The door to the mail: which calendar parts it carries, and what its header says that a decision needs.

Pure: bytes in, values out. Any bytes give a `Mail`; what is odd about it stands in `obstacle`.
"""

from .limits import Limits
from .read import SPAM_HEADERS, Mail, Part, Report, read

__all__ = ["SPAM_HEADERS", "Limits", "Mail", "Part", "Report", "read"]
