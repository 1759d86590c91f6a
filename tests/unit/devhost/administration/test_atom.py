"""Documents as clients read them that know elements by their written names and not by their namespaces."""

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, fromstring

from devhost.administration.atom import (
    ATOM,
    SERVICE_BUS,
    SERVICE_BUS_COUNTS,
    Entry,
    sb,
    set_type,
    write_entry,
    write_feed,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry() -> Entry:
    description = Element(sb("QueueDescription"))
    set_type(SubElement(description, sb("Filter")), "SqlFilter")
    details = SubElement(description, sb("CountDetails"))
    SubElement(details, f"{{{SERVICE_BUS_COUNTS}}}ActiveMessageCount").text = "3"
    return Entry("q", "https://localhost/q", description, NOW)


def test_elements_are_written_by_their_plain_names_with_the_namespace_declared_where_it_begins() -> None:
    text = write_entry(entry()).decode()
    assert f'<entry xmlns="{ATOM}">' in text
    assert f'<QueueDescription xmlns="{SERVICE_BUS}"' in text
    assert '<Filter i:type="SqlFilter"' in text
    counts = f'<CountDetails xmlns:d2p1="{SERVICE_BUS_COUNTS}"><d2p1:ActiveMessageCount>3</d2p1:ActiveMessageCount>'
    assert counts in text


def test_the_same_document_is_read_by_namespaces_too() -> None:
    written = write_feed("Queues", "https://localhost", [entry()], following=None, now=NOW)
    feed = fromstring(written)  # noqa: S314 (it is our own)
    description = feed.find(f"{{{ATOM}}}entry/{{{ATOM}}}content/{sb('QueueDescription')}")
    assert description is not None
    assert description.findtext(f"{sb('CountDetails')}/{{{SERVICE_BUS_COUNTS}}}ActiveMessageCount") == "3"
