"""A DNS server on loopback that knows the names that a test tells it."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Answers = Mapping[str, list[str] | dns.rcode.Rcode | None]
"""TXT records in master file format, others under ``name SRV``; or an error; None is never answered. What is not
named, does not exist."""


@contextmanager
def answering(answers: Answers) -> Iterator[str]:
    """Serve until the test is over; return "127.0.0.1:port"."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(server, answers))
        thread.start()
        host, port = server.getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            server.sendto(b"", (host, port))
            thread.join()


def _serve(server: socket.socket, answers: Answers) -> None:
    while True:
        asked, address = server.recvfrom(4096)
        if not asked:
            return
        query = dns.message.from_wire(asked)
        name = query.question[0].name
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        key = name.to_text(omit_final_dot=True) + ("" if kind == "TXT" else f" {kind}")
        answer = answers.get(key, dns.rcode.NXDOMAIN)
        if answer is None:
            continue
        response = dns.message.make_response(query)
        if isinstance(answer, list):
            response.answer += [dns.rrset.from_text(name, 60, "IN", kind, *answer)] if answer else []
        else:
            response.set_rcode(answer)
        server.sendto(response.to_wire(), address)
