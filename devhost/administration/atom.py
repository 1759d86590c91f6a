"""Atom documents as Service Bus's management protocol uses them: entries and feeds around one description each.

Source: "Service Bus resource manager REST" (the ATOM-based protocol behind every administration client).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, ParseError, QName, SubElement, fromstring, tostring

ATOM = "http://www.w3.org/2005/Atom"
SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
SERVICE_BUS_COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMA = "http://www.w3.org/2001/XMLSchema"

#: The prefixes the service writes. Some clients do not resolve namespaces but read elements by their written names.
_COUNTS_PREFIX = "d2p1"
_INSTANCE_PREFIX = "i"


class DocumentError(ValueError):
    """The request's body is not what it should be; the text says how."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entity in a document."""

    title: str
    address: str
    description: Element
    updated: datetime


def sb(name: str) -> str:
    """An element name in the Service Bus namespace."""
    return f"{{{SERVICE_BUS}}}{name}"


def write_instant(when: datetime) -> str:
    """An instant as the service writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_entry(entry: Entry) -> bytes:
    """A document of one entity."""
    element = _entry_element(entry)
    element.set("xmlns", ATOM)
    return _document(element)


def write_feed(title: str, address: str, entries: Iterable[Entry], *, following: str | None, now: datetime) -> bytes:
    """A document of several; `following` is the address of the next page."""
    feed = Element("feed", {"xmlns": ATOM})
    SubElement(feed, "title").text = title
    SubElement(feed, "id").text = address
    SubElement(feed, "updated").text = write_instant(now)
    SubElement(feed, "link", {"rel": "self", "href": address})
    if following is not None:
        # Clients take the second link for the next page.
        SubElement(feed, "link", {"rel": "next", "href": following})
    feed.extend(_entry_element(entry) for entry in entries)
    return _document(feed)


def write_error(status: int, detail: str) -> bytes:
    """The body of an answer that is an error."""
    error = Element("Error")
    SubElement(error, "Code").text = str(status)
    SubElement(error, "Detail").text = detail
    return _document(error)


def read_content(body: bytes) -> Element:
    """The description in a request's entry. Raises `DocumentError`."""
    try:
        text = body.decode("utf-8")
        if "<!DOCTYPE" in text:
            raise DocumentError("a document type is not accepted")
        root = fromstring(text)  # noqa: S314 (without a document type there are no entities to expand)
    except (UnicodeDecodeError, ParseError) as error:
        raise DocumentError(f"the body is not XML in UTF-8: {error}") from error
    content = root.find(_atom("content"))
    if content is None or len(content) == 0:
        raise DocumentError("the body is not an Atom entry with a description in it")
    return content[0]


def read_description(body: bytes, name: str) -> Element:
    """As `read_content`, for a description that must be called `name`."""
    description = read_content(body)
    if description.tag != sb(name):
        raise DocumentError(f"the entry's description is {description.tag}, not {name}")
    return description


def type_attribute(element: Element) -> str:
    """The local name in the element's `xsi:type`, empty when there is none."""
    return element.get(f"{{{SCHEMA_INSTANCE}}}type", "").rpartition(":")[2]


def set_type(element: Element, name: str) -> None:
    """Set `xsi:type`."""
    element.set(str(QName(SCHEMA_INSTANCE, "type")), name)


def _entry_element(entry: Entry) -> Element:
    element = Element("entry")
    SubElement(element, "id").text = entry.address
    SubElement(element, "title", {"type": "text"}).text = entry.title
    SubElement(element, "published").text = write_instant(entry.updated)
    SubElement(element, "updated").text = write_instant(entry.updated)
    author = SubElement(element, "author")
    SubElement(author, "name").text = "devhost"
    SubElement(element, "link", {"rel": "self", "href": entry.address})
    SubElement(element, "content", {"type": "application/xml"}).append(_as_the_service_writes(entry.description))
    return element


def _as_the_service_writes(description: Element) -> Element:
    """A description whose own namespace is the default one inside it, and which declares what it uses where it does."""
    written = _without_namespaces(description)
    written.set("xmlns", SERVICE_BUS)
    written.set(f"xmlns:{_INSTANCE_PREFIX}", SCHEMA_INSTANCE)
    return written


def _without_namespaces(element: Element) -> Element:
    attributes = {_written_name(name): value for name, value in element.attrib.items()}
    written = Element(_written_name(element.tag), attributes)
    written.text = element.text
    written.extend(_without_namespaces(child) for child in element)
    if any(child.tag.startswith(f"{_COUNTS_PREFIX}:") for child in written):
        written.set(f"xmlns:{_COUNTS_PREFIX}", SERVICE_BUS_COUNTS)
    return written


def _written_name(name: str) -> str:
    for namespace, prefix in (
        (SERVICE_BUS, ""),
        (SERVICE_BUS_COUNTS, f"{_COUNTS_PREFIX}:"),
        (SCHEMA_INSTANCE, f"{_INSTANCE_PREFIX}:"),
    ):
        name = name.replace(f"{{{namespace}}}", prefix)
    return name


def _atom(name: str) -> str:
    return f"{{{ATOM}}}{name}"


def _document(element: Element) -> bytes:
    document: bytes = tostring(element, encoding="utf-8", xml_declaration=True)
    return document
