"""What most lines look like is read without the library, and means what the library says it means."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from icalendar import vDDDTypes
from icalendar.parser import Contentline

from imipd.itip import lines
from imipd.itip.lines import MalformedError
from imipd.itip.moment import read_one
from imipd.itip.zones import Zones

WORDS = st.text(
    st.sampled_from(
        ["a", "B", "9", "-", "_", ".", " ", "\t", ";", ":", ",", "=", '"', "\\", "%", "2", "C", "^", "n", "'", "é"]
    )
    | st.sampled_from(["\u00a0", "\u2028", "\x7f", "\x1c", "\udc80"]),
    max_size=12,
)
NAMES = st.sampled_from(["CN", "cn", "PARTSTAT", "X-A", "DELEGATED-TO", "TZID", "X A", ""])
VALUES = WORDS | WORDS.map('"{}"'.format) | st.lists(WORDS.map('"{}"'.format), max_size=3).map(",".join)
PARAMETERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
USUAL = st.lists(
    st.tuples(NAMES, st.sampled_from(["Bob", "Bob Example", '"a;b:c,d=e"', '""', "Europe/Berlin"])), max_size=4
)


@given(parameters=PARAMETERS | USUAL, value=WORDS)
def test_parameters_are_those_of_the_library(parameters: list[tuple[str, str]], value: str) -> None:
    head = "".join(f";{name}={said}" for name, said in parameters)
    text = f"ATTENDEE{head}:{value}"
    expected: tuple[dict[str, object], str] | None = None
    with suppress(Exception):  # the library raises whatever it likes
        _, known, rest = Contentline(text).raw_parts()
        expected = dict(known), rest
    line = lines.of_text(text)
    if expected is None:
        assert not line.is_readable
    else:
        assert (line.parameters, line.value) == expected


def test_a_line_of_any_length_is_read_at_once() -> None:
    """Nothing of it is looked at twice: otherwise these would take until tomorrow."""
    many = 500_000
    for text in ("A" * many, "A;" * many, "A" + ";B=c" * many, "A;B=" + "c " * many, 'A;B="' + "c" * many, "A=" * many):
        with suppress(MalformedError):
            assert lines.Line("A", text, b"").value is not None


@given(value=st.from_regex(r"\d{8}T\d{6}Z?", fullmatch=True) | st.sampled_from(["20260310T100000", "20260310T100000Z"]))
def test_a_moment_is_that_of_the_library(value: str) -> None:
    try:
        expected = vDDDTypes.from_ical(value)
    except ValueError:
        with pytest.raises(MalformedError):
            read(value)
        return
    if 1600 <= expected.year < 2500:
        assert read(value) == expected


def read(value: str) -> object:
    return read_one(lines.of_text(f"DTSTART:{value}"), Zones(lines.component("VCALENDAR", [])))


@given(
    st.lists(st.text('aé\U0001f600;:,\\" \t\x0b\x7f\r', max_size=40), min_size=1, max_size=4),
    st.sampled_from(["\r\n", "\n", "\r\r\n"]),
    st.integers(0, 80),
)
@example([""], "\r\n", 71)  # 75 octets
@example([""], "\r\n", 72)
@example(["é"], "\r\n", 70)
def test_a_line_is_folded_anew_unless_it_already_is_as_we_write_it(pieces: list[str], end: str, length: int) -> None:
    """What is kept has the bytes, the name and the text that it would be given."""
    folded = f"X-A:{'a' * length}" + f"{end} ".join(pieces)
    calendar = lines.read(f"BEGIN:VCALENDAR{end}{folded}{end}END:VCALENDAR{end}".encode())
    kept = lines.refolded(calendar).lines
    assert kept == tuple(lines.of_text(lines._CONTROL.sub(" ", line.text)) for line in calendar.lines)


def test_lines_are_found_by_name_in_their_order() -> None:
    body = b"BEGIN:VCALENDAR\r\nA:1\r\nB:2\r\nBEGIN:A\r\nA:0\r\nEND:A\r\nA:3\r\nEND:VCALENDAR\r\n"
    calendar = lines.read(body)
    assert [line.value for line in calendar.all("A")] == ["1", "3"]
    assert calendar.all("C") == ()
    assert [line.value for line in calendar.put("A", [lines.written("A", "9")]).all("A")] == ["9"]
