"""The XML of WebDAV and CalDAV: questions, and what a multistatus answers (RFC 4918 §13, RFC 4791 §9).

An answer is believed whole or not at all: XML that is cut, carries a DTD or is no multistatus raises
`MalformedXMLError`; it never reads as an empty list, which would mean that nothing is stored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
CARDDAV = "{urn:ietf:params:xml:ns:carddav}"
NAMESPACES = {"d": "DAV:", "c": "urn:ietf:params:xml:ns:caldav"}


class MalformedXMLError(Exception):
    """The body is not the XML document that was asked for."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One response of a multistatus, with the properties that the server could give."""

    href: str
    """As the server wrote it."""
    status: int
    """That of the whole response; 200 where it has only those of its properties (RFC 4918 §14.24)."""
    properties: Mapping[str, Any]
    """Elements by name, those whose propstat says 2xx."""

    def text(self, name: str) -> str:
        """Return the text of a property, empty where there is none."""
        element = self.properties.get(name)
        return "" if element is None else str(element.text or "").strip()

    def hrefs(self, name: str) -> tuple[str, ...]:
        """Return the DAV:href values of a property."""
        element = self.properties.get(name)
        found = [] if element is None else [str(href.text or "").strip() for href in element.iterfind(DAV + "href")]
        return tuple(href for href in found if href)

    def names(self, name: str) -> frozenset[str]:
        """Return the names of all elements inside a property."""
        element = self.properties.get(name)
        return frozenset() if element is None else frozenset(str(child.tag) for child in element.iterdescendants())

    def components(self) -> frozenset[str]:
        """Return the component types of supported-calendar-component-set; empty: all (RFC 4791 §5.2.3)."""
        element = self.properties.get(CALDAV + "supported-calendar-component-set")
        found = () if element is None else element.iterfind(CALDAV + "comp")
        return frozenset(str(comp.get("name", "")).upper() for comp in found)


def propfind(names: Iterable[str]) -> bytes:
    """Return the body of a PROPFIND for these properties."""
    root = etree.Element(DAV + "propfind", nsmap=NAMESPACES)
    prop = etree.SubElement(root, DAV + "prop")
    for name in names:
        etree.SubElement(prop, name)
    return _document(root)


def uid_query(component: str, uid: str, *, content: bool = False) -> bytes:
    """Return the body of a calendar-query for the components with this UID (RFC 4791 §7.8.6).

    Raises ValueError for a UID with characters that XML cannot carry.
    """
    return _calendar_query(component, "UID", uid, collation="i;octet", content=content)


def party_query(component: str, name: str, address: str) -> bytes:
    """Return the body of a calendar-query for the components whose property of this name has the address in it.

    Raises ValueError as above.
    """
    return _calendar_query(component, name, address, collation="i;ascii-casemap", content=True)


def _calendar_query(component: str, name: str, text: str, *, collation: str, content: bool) -> bytes:
    root = etree.Element(CALDAV + "calendar-query", nsmap=NAMESPACES)
    prop = etree.SubElement(root, DAV + "prop")
    etree.SubElement(prop, DAV + "getetag")
    if content:
        etree.SubElement(prop, CALDAV + "calendar-data")
    calendar = etree.SubElement(etree.SubElement(root, CALDAV + "filter"), CALDAV + "comp-filter", name="VCALENDAR")
    parent = etree.SubElement(calendar, CALDAV + "comp-filter", name=component)
    property_filter = etree.SubElement(parent, CALDAV + "prop-filter", name=name)
    etree.SubElement(property_filter, CALDAV + "text-match", collation=collation).text = text
    return _document(root)


def multiget(paths: Iterable[str]) -> bytes:
    """Return the body of a calendar-multiget for the objects at these paths (RFC 4791 §7.9)."""
    root = etree.Element(CALDAV + "calendar-multiget", nsmap=NAMESPACES)
    prop = etree.SubElement(root, DAV + "prop")
    etree.SubElement(prop, DAV + "getetag")
    etree.SubElement(prop, CALDAV + "calendar-data")
    for path in paths:
        etree.SubElement(root, DAV + "href").text = path
    return _document(root)


def sync_query(token: str) -> bytes:
    """Return the body of a sync-collection for what has changed since the state of a token (RFC 6578 §3.2)."""
    root = etree.Element(DAV + "sync-collection", nsmap=NAMESPACES)
    etree.SubElement(root, DAV + "sync-token").text = token
    etree.SubElement(root, DAV + "sync-level").text = "1"
    etree.SubElement(etree.SubElement(root, DAV + "prop"), DAV + "getetag")
    return _document(root)


def contact_query(address: str) -> bytes:
    """Return the body of an addressbook-query for the cards with this text in an EMAIL (RFC 6352 §8.6).

    Raises ValueError as above. "contains" is what every server does (§10.5.4): Xandikos 0.4.10 compares with more
    than the value.
    """
    root = etree.Element(CARDDAV + "addressbook-query", nsmap={"d": "DAV:", "c": CARDDAV[1:-1]})
    prop = etree.SubElement(root, DAV + "prop")
    etree.SubElement(prop, DAV + "getetag")
    etree.SubElement(prop, CARDDAV + "address-data")
    email = etree.SubElement(etree.SubElement(root, CARDDAV + "filter"), CARDDAV + "prop-filter", name="EMAIL")
    etree.SubElement(email, CARDDAV + "text-match").text = address
    return _document(root)


def resources(body: bytes) -> tuple[Resource, ...]:
    """Return the responses of a multistatus; raise `MalformedXMLError` where it is none."""
    return tuple(_resource(response) for response in _multistatus(body).iterfind(DAV + "response"))


def synchronized(body: bytes) -> tuple[tuple[Resource, ...], str]:
    """Return the responses and the new token of a sync-collection (RFC 6578 §3.2). Raises as `resources`."""
    root = _multistatus(body)
    token = str(root.findtext(DAV + "sync-token") or "").strip()
    if not token:
        raise MalformedXMLError("no sync-token")
    return tuple(_resource(response) for response in root.iterfind(DAV + "response")), token


def _multistatus(body: bytes) -> Any:
    root = _parsed(body)
    if root.tag != DAV + "multistatus":
        raise MalformedXMLError(f"{root.tag} instead of a multistatus")
    return root


def preconditions(body: bytes) -> frozenset[str]:
    """Return the names inside a DAV:error (RFC 4918 §16), none where the body is something else."""
    try:
        root = _parsed(body)
    except MalformedXMLError:
        return frozenset()
    return frozenset(str(child.tag) for child in root) if root.tag == DAV + "error" else frozenset()


def _resource(response: Any) -> Resource:
    """Read one DAV:response."""
    properties: dict[str, Any] = {}
    for propstat in response.iterfind(DAV + "propstat"):
        if 200 <= _status(propstat) < 300:
            properties |= {str(element.tag): element for prop in propstat.iterfind(DAV + "prop") for element in prop}
    href = str(response.findtext(DAV + "href") or "").strip()
    return Resource(href, _status(response), properties)


def _status(element: Any) -> int:
    """Return the code of a DAV:status line, 200 where there is none."""
    words = str(element.findtext(DAV + "status") or "HTTP/1.1 200").split()
    if len(words) < 2 or not words[1].isdecimal():
        raise MalformedXMLError(f"the status {' '.join(words)!r}")
    return int(words[1])


def _document(root: Any) -> bytes:
    """Return the XML document of an element."""
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _parsed(body: bytes) -> Any:
    """Return the root of an XML document without a DTD, hence without entities of its own."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXMLError(f"no XML document: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise MalformedXMLError("an XML document with a DTD")
    return root
