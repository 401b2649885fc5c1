"""What a message of the Organizer brings along besides the event: files, HTML, links (policy `attachments`, Q9)."""

from .lines import Component, Line, written

NAMES = (
    *("ATTACH", "URL"),  # RFC 5545 §3.8.1.1, §3.8.4.6
    *("IMAGE", "SOURCE"),  # RFC 7986 §5.10, §5.8; its CONFERENCE stays: who takes part needs it
    *("STRUCTURED-DATA", "STYLED-DESCRIPTION"),  # RFC 9073 §6.6, §6.5
    "LINK",  # RFC 9253 §8.2
    "X-ALT-DESC",  # Outlook's HTML
)


def is_attached(line: Line) -> bool:
    """Return whether a line is an attachment, a link, or HTML."""
    if line.name in NAMES:
        return True
    # RFC 5545 §3.2.8 has no parameters there; clients that show HTML may read past them.
    return line.is_readable and line.parameter("FMTTYPE").partition(";")[0].strip().lower() == "text/html"


def stripped(part: Component) -> Component:
    """Return a component without attachments, its subcomponents too, and its texts without ALTREP."""
    kept = (item for item in part.content if isinstance(item, Component) or not is_attached(item))
    return part.with_content(stripped(item) if isinstance(item, Component) else _plain(item) for item in kept)


def _plain(line: Line) -> Line:
    """ALTREP names the same text as HTML, in the mail or elsewhere (RFC 5545 §3.2.1)."""
    if "ALTREP" not in line.text.upper() or not line.is_readable or not line.parameter("ALTREP"):
        return line
    parameters = line.parameters
    parameters.pop("ALTREP")
    return written(line.name, line.value, parameters)
