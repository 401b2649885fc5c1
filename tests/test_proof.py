"""Whom a mail comes from, proven by its own signatures or by a trusted list (rules.md G11)."""

from collections.abc import Sequence

import dkim
import pytest

from correspondence import ALICE, BEGIN, BOB, cancel, invited
from desks import ALICES, Desk, with_policy
from imipd.envelope import DONE, TRY_AGAIN
from imipd.mail import read
from imipd.proof import Claim, Method, UnansweredError, Verdict
from imipd.proof.verifier import Verifier
from signers import SIGNED, Dns, changed, ed25519_record, sealed, signed

LIST, OTHER = "lists.example.com", "forward.example.org"


@pytest.fixture
def dns() -> Dns:
    found = Dns()
    for domain in ("example.net", "mail.example.net", "example.com", LIST, OTHER):
        found.publish(domain)
    found.records["_dmarc.example.net"] = (b"v=DMARC1; p=reject",)
    return found


def judged(mail: bytes, dns: Dns, method: Method = "dkim", sealers: Sequence[str] = ()) -> Verdict:
    found = read(mail)
    assert found.originator == BOB
    claim = Claim(found.originator, found.results, mail, BEGIN)
    return Verifier("mx.example.org", dns, frozenset(sealers)).of(method, claim)


class TestSignature:
    @pytest.mark.parametrize("canonical", ["relaxed/relaxed", "relaxed/simple", "simple/simple", "simple/relaxed"])
    def test_an_aligned_one_that_verifies(self, dns: Dns, canonical: str) -> None:
        assert judged(signed(cancel(), canonical=canonical), dns) == Verdict(
            True, "dkim=pass for example.net, verified here"
        )

    @pytest.mark.parametrize("canonical", ["relaxed/relaxed", "simple/simple"])
    @pytest.mark.parametrize("ends", [b"", b"\r\n", b"\r\n\r\n", b" \r\n", b"\r\r\n", b"x\r\n \t\r\n"])
    def test_a_body_with_odd_ends(self, dns: Dns, canonical: str, ends: bytes) -> None:
        """What is trimmed before the library sees it is the same to it."""
        whole = cancel().replace(b"END:VEVENT", b"END:VEVENT \t").removesuffix(b"\r\n") + ends
        assert judged(signed(whole, canonical=canonical), dns).proven

    def test_a_mail_without_a_body(self, dns: Dns) -> None:
        for body in (b"", b"\r\n", b"\r\n\r\n"):
            mail = signed(cancel().split(b"\r\n\r\n")[0] + b"\r\n\r\n" + body)
            assert Verifier("", dns).of("dkim", Claim(BOB, (), mail, BEGIN)).proven

    def test_one_of_a_host_below(self, dns: Dns) -> None:
        assert judged(signed(cancel(), "mail.example.net"), dns).proven

    def test_a_mail_with_bare_line_feeds(self, dns: Dns) -> None:
        assert judged(signed(cancel()).replace(b"\r\n", b"\n"), dns).proven

    def test_what_lies_around_it_may_change(self, dns: Dns) -> None:
        assert judged(b"Received: by mx.example.org; now\r\nX-Spam: No\r\n" + signed(cancel()), dns).proven

    def test_one_of_another_domain_is_not_even_verified(self, dns: Dns) -> None:
        found = judged(signed(cancel(), "example.com"), dns)
        assert found == Verdict(False, "signed by example.com, From example.net: not aligned")
        assert dns.asked == []

    def test_none(self, dns: Dns) -> None:
        assert judged(cancel(), dns) == Verdict(False, "no DKIM signature")

    def test_the_second_one_is_aligned(self, dns: Dns) -> None:
        assert judged(signed(signed(cancel()), "example.com"), dns).proven

    def test_the_second_aligned_one_verifies(self, dns: Dns) -> None:
        assert judged(signed(signed(cancel()), selector="gone"), dns).proven

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"DTSTAMP:2027", b"DTSTAMP:2028"),
            (b"END:VCALENDAR\r\n", b"END:VCALENDAR\r\nX:1\r\n"),
            (b"Date: Mon", b"Date: Tue"),
        ],
    )
    def test_what_was_signed_was_changed(self, dns: Dns, before: bytes, after: bytes) -> None:
        mail = signed(cancel())
        assert before in mail
        assert judged(mail.replace(before, after), dns) == Verdict(False, "signature of example.net: does not verify")

    def test_a_part_of_the_body_only(self, dns: Dns) -> None:
        """dkimpy 1.1.8 would take what is appended for signed."""
        mail = signed(cancel(), l="40") + b"appended\r\n"
        assert dkim.verify(mail, dnsfunc=dns.first)
        assert judged(mail, dns).detail == "signature of example.net: signs a part of the body only (l=)"

    def test_from_is_not_signed(self, dns: Dns) -> None:
        """dkimpy 1.1.8 would accept it."""
        mail = signed(cancel(), names=SIGNED[1:])
        assert dkim.verify(mail, dnsfunc=dns.first)
        assert judged(mail, dns).detail == "signature of example.net: does not sign From"

    @pytest.mark.parametrize(("seconds", "proven"), [(1, True), (-1, False)])
    def test_expired(self, dns: Dns, seconds: int, proven: bool) -> None:
        assert judged(signed(cancel(), x=str(int(BEGIN.timestamp()) + seconds)), dns).proven is proven

    @pytest.mark.parametrize("expiry", ["", "soon", "-1", "1.5"])
    def test_expiry_that_is_no_time(self, dns: Dns, expiry: str) -> None:
        assert judged(signed(cancel(), x=expiry), dns).detail == "signature of example.net: expired"

    def test_sha1(self, dns: Dns) -> None:
        assert judged(signed(cancel(), a="rsa-sha1"), dns).detail == "signature of example.net: signed with rsa-sha1"

    @pytest.mark.parametrize("bits", [1024, 4096])
    def test_the_shortest_and_the_longest_key(self, dns: Dns, bits: int) -> None:
        """RFC 8301 §3.2."""
        dns.publish("example.net", "other", bits=bits)
        assert judged(signed(cancel(), selector="other", bits=bits), dns).proven

    @pytest.mark.parametrize(
        ("tags", "detail"),
        [
            ({"p": ""}, "its key is revoked"),
            ({"t": "y"}, "its key is for tests (t=y)"),
            ({"t": "s : y"}, "its key is for tests (t=y)"),
            ({"s": "tlsrpt"}, "its key is not for this (s=, h=)"),
            ({"h": "sha1"}, "its key is not for this (s=, h=)"),
            ({"p": "bm8ga2V5"}, "does not verify"),
            ({"p": "="}, "does not verify"),
            ({"v": "DKIM2"}, "does not verify"),
            ({"n": "x" * 1024}, "no key s1"),
        ],
    )
    def test_a_key_that_may_not_be_used(self, dns: Dns, tags: dict[str, str], detail: str) -> None:
        dns.publish("example.net", tags=tags)
        assert judged(signed(cancel()), dns) == Verdict(False, f"signature of example.net: {detail}")

    def test_a_key_for_its_own_domain_only(self, dns: Dns) -> None:
        dns.publish("example.net", tags={"t": "s"})
        assert judged(signed(cancel(), i="@example.net"), dns).proven
        assert "t=s" in judged(signed(cancel(), i="@mail.example.net"), dns).detail

    def test_other_records_beside_the_key(self, dns: Dns) -> None:
        name = "s1._domainkey.example.net"
        dns.records[name] = (b"v=spf1 -all", *dns.records[name], b"")
        assert judged(signed(cancel()), dns).proven
        dns.records[name] *= 2
        assert judged(signed(cancel()), dns).detail == "signature of example.net: several keys s1"

    def test_no_key(self, dns: Dns) -> None:
        del dns.records["s1._domainkey.example.net"]
        assert judged(signed(cancel()), dns) == Verdict(False, "signature of example.net: no key s1")

    def test_ed25519(self, dns: Dns) -> None:
        """RFC 8463."""
        dns.records["ed._domainkey.example.net"] = (ed25519_record("ed.example.net"),)
        mail = signed(cancel(), selector="ed", a="ed25519-sha256")
        assert judged(mail, dns) == Verdict(True, "dkim=pass for example.net, verified here")
        assert judged(mail.replace(b"END:VEVENT", b"END:EVENT"), dns).detail.endswith("does not verify")
        dns.records["ed._domainkey.example.net"] = (ed25519_record("other.example.net"),)
        assert judged(mail, dns).detail.endswith("does not verify")

    def test_ed25519_that_is_labelled_as_rsa(self, dns: Dns) -> None:
        """The key's type and the signature's algorithm have to agree."""
        dns.records["s1._domainkey.example.net"] = (ed25519_record("s1.example.net"),)
        assert judged(signed(cancel()), dns).detail.endswith("does not verify")
        dns.publish("example.net", "ed")
        assert judged(signed(cancel(), selector="ed", a="ed25519-sha256"), dns).detail.endswith("does not verify")

    @pytest.mark.parametrize("tag", [{"i": "example.net"}, {"i": "bob"}, {"c": "odd/odd"}, {"q": "http"}, {"v": "2"}])
    def test_odd_tags(self, dns: Dns, tag: dict[str, str]) -> None:
        mail = signed(cancel(), canonical="relaxed/relaxed")
        name, value = next(iter(tag.items()))
        odd = mail.replace(b"DKIM-Signature: v=1; ", f"DKIM-Signature: v=1; {name}={value}; ".encode(), 1)
        odd = odd.replace(b"v=1; v=2", b"v=2") if name == "v" else odd
        assert not judged(odd, dns).proven


class TestDmarc:
    def test_a_record_and_an_aligned_signature(self, dns: Dns) -> None:
        found = Verdict(True, "dmarc=pass for example.net, verified here")
        assert judged(signed(cancel()), dns, "dmarc") == found

    def test_no_record(self, dns: Dns) -> None:
        del dns.records["_dmarc.example.net"]
        assert judged(signed(cancel()), dns, "dmarc") == Verdict(False, "no DMARC record for example.net")

    @pytest.mark.parametrize(
        "records", [(b"v=spf1",), (b"v=DMARC1",), (b"p=none; v=DMARC1",), (b"v=DMARC1; p=none",) * 2, (b"",)]
    )
    def test_no_one_record(self, dns: Dns, records: tuple[bytes, ...]) -> None:
        dns.records["_dmarc.example.net"] = records
        assert judged(signed(cancel()), dns, "dmarc") == Verdict(False, "no DMARC record for example.net")

    @pytest.mark.parametrize(("adkim", "proven"), [(b"", True), (b"; adkim=r", True), (b"; adkim=s", False)])
    def test_strict_alignment(self, dns: Dns, adkim: bytes, proven: bool) -> None:
        dns.records["_dmarc.example.net"] = (b"v=DMARC1; p=none" + adkim,)
        assert judged(signed(cancel(), "mail.example.net"), dns, "dmarc").proven is proven

    def test_the_record_of_the_organization(self, dns: Dns) -> None:
        mail = cancel().replace(b"bob@example.net", b"bob@mail.example.net")
        claim = Claim("bob@mail.example.net", (), signed(mail, "mail.example.net"), BEGIN)
        assert Verifier("", dns).of("dmarc", claim).proven
        assert dns.asked[:2] == ["_dmarc.mail.example.net", "_dmarc.example.net"]


class TestBorder:
    """Its word comes first; without it the signatures are verified."""

    def told(self, results: str) -> bytes:
        return f"Authentication-Results: mx.example.org; {results}\r\n".encode()

    def test_what_it_passes_is_not_verified(self, dns: Dns) -> None:
        assert judged(self.told("dkim=pass header.d=example.net") + cancel(), dns).proven
        assert dns.asked == []

    def test_what_it_fails_is_not_verified(self, dns: Dns) -> None:
        found = judged(self.told("dkim=fail header.d=example.net") + signed(cancel()), dns)
        assert found == Verdict(False, "dkim=fail for example.net (mx.example.org)")
        assert dns.asked == []

    @pytest.mark.parametrize("results", ["dkim=temperror header.d=example.net", "spf=pass", "dmarc=fail", "none"])
    def test_what_it_does_not_know_is_verified(self, dns: Dns, results: str) -> None:
        assert judged(self.told(results) + signed(cancel()), dns).proven


class TestChain:
    def mail(self, results: str = "dkim=pass header.d=example.net") -> bytes:
        """A list has broken bob's signature, and sealed what it saw."""
        return sealed(changed(signed(cancel())), results)

    def test_of_a_trusted_list(self, dns: Dns) -> None:
        found = judged(self.mail(), dns, sealers=[LIST])
        assert found.proven
        assert found.detail.endswith("ARC of lists.example.com: dkim=pass for example.net")

    def test_although_the_border_says_no(self, dns: Dns) -> None:
        border = b"Authentication-Results: mx.example.org; dkim=fail header.d=example.net\r\n"
        assert judged(border + self.mail(), dns, sealers=[LIST]).proven

    def test_for_dmarc(self, dns: Dns) -> None:
        assert judged(self.mail("dmarc=pass header.from=example.net"), dns, "dmarc", [LIST]).proven
        assert not judged(self.mail("dmarc=pass header.from=example.com"), dns, "dmarc", [LIST]).proven
        assert not judged(self.mail(), dns, "dmarc", [LIST]).proven

    def test_of_an_untrusted_list(self, dns: Dns) -> None:
        found = judged(self.mail(), dns, sealers=[OTHER])
        assert not found.proven
        assert found.detail.endswith("ARC sealer lists.example.com is not trusted")
        assert f"s1._domainkey.{LIST}" not in dns.asked

    def test_no_list_is_trusted_by_default(self, dns: Dns) -> None:
        assert not judged(self.mail(), dns).proven

    @pytest.mark.parametrize(
        "results", ["dkim=fail header.d=example.net", "dkim=pass header.d=example.com", "spf=pass"]
    )
    def test_that_saw_no_proof(self, dns: Dns, results: str) -> None:
        assert not judged(self.mail(results), dns, sealers=[LIST]).proven

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"X-FOOTER:list", b"X-FOOTER:evil"),
            (b"dkim=pass header.d=example.net", b"dkim=pass header.d=evil.invalid"),
            (b"From: bob@example.net", b"From: Robert <bob@example.net>"),
            (b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
            (b"cv=none", b"cv=pass"),
            (b"cv=none", b"cv=fail"),
        ],
    )
    def test_that_was_changed_since(self, dns: Dns, before: bytes, after: bytes) -> None:
        mail = self.mail()
        assert before in mail
        assert not judged(mail.replace(before, after, 1), dns, sealers=[LIST]).proven

    @pytest.mark.parametrize(("before", "after"), [(b"h=from :", b"h=cc :"), (b"; s=s1; t=", b"; l=0; s=s1; t=")])
    def test_that_does_not_seal_the_whole_mail(self, dns: Dns, before: bytes, after: bytes) -> None:
        """dkimpy 1.1.8 would accept both."""
        head, name, rest = self.mail().partition(b"ARC-Message-Signature")
        assert before in rest
        detail = judged(head + name + rest.replace(before, after, 1), dns, sealers=[LIST]).detail
        assert detail.endswith(("does not sign From", "signs a part of the body only (l=)"))

    def test_believed_is_the_first_that_is_trusted(self, dns: Dns) -> None:
        """The newest only knows that the chain before it holds."""
        twice = sealed(self.mail(), "arc=pass; dkim=fail header.d=example.net", OTHER)
        assert judged(twice, dns, sealers=[LIST, OTHER]).proven
        found = judged(twice, dns, sealers=[OTHER])
        assert not found.proven
        assert found.detail.endswith(f"ARC of {OTHER}: dkim=fail for example.net")
        assert not judged(twice, dns, sealers=[LIST]).proven

    def test_what_an_untrusted_one_before_says_is_not_believed(self, dns: Dns) -> None:
        twice = sealed(sealed(cancel(), "dkim=pass header.d=example.net", OTHER), "arc=pass; dkim=none")
        assert not judged(twice, dns, sealers=[LIST]).proven

    @pytest.mark.parametrize("instance", ["x=i=0; i=2", "x=I=0; i=2", "xi=0; i=2"])
    def test_that_only_seems_to_end_with_a_trusted_seal(self, dns: Dns, instance: str) -> None:
        """dkimpy 1.1.8 takes the first "i=" of a field for its instance, wherever it stands, and passes over 0."""
        seal = f"ARC-Seal: {instance}; a=rsa-sha256; cv=none; d={LIST}; s=s1; b=AA\r\n"
        signature = f"ARC-Message-Signature: {instance}; a=rsa-sha256; d={LIST}; s=s1; h=from; bh=AA; b=AA\r\n"
        mail = sealed((seal + signature).encode() + cancel(), "dkim=pass header.d=example.net", OTHER)
        assert judged(mail, dns, sealers=[LIST]).detail.endswith("an ARC chain that cannot be read")

    def test_too_long(self, dns: Dns) -> None:
        mail = self.mail()
        for _ in range(5):
            mail = sealed(mail, "arc=pass; dkim=pass header.d=example.net")
        assert judged(mail, dns, sealers=[LIST]).detail.endswith("an ARC chain that is too long")

    def test_its_key_is_out_of_reach(self, dns: Dns) -> None:
        dns.down.add(f"s1._domainkey.{LIST}")
        with pytest.raises(UnansweredError):
            judged(self.mail(), dns, sealers=[LIST])


class TestOutOfReach:
    def test_another_signature_verifies(self, dns: Dns) -> None:
        dns.down.add("s1._domainkey.mail.example.net")
        assert judged(signed(signed(cancel()), "mail.example.net"), dns).proven

    def test_another_signature_does_not(self, dns: Dns) -> None:
        dns.down.add("s1._domainkey.mail.example.net")
        with pytest.raises(UnansweredError):
            judged(signed(signed(cancel(), selector="gone"), "mail.example.net"), dns)


class TestGateway:
    def desk(self, dns: Dns, sender: str = "dkim") -> Desk:
        desk = Desk({ALICE: with_policy(sender=sender)}, proof=Verifier("", dns))
        desk.keep(invited())
        return desk

    def test_the_same_mail_passes_when_the_resolver_is_up_again(self, dns: Dns) -> None:
        desk, mail = self.desk(dns), signed(cancel())
        dns.down.add("*")
        assert desk.deliver(mail) == (TRY_AGAIN,)
        assert desk.outcomes() == []
        dns.down.clear()
        desk.later(hours=23)
        (status,) = desk.deliver(mail)
        assert status.outcomes == ('updated; reason=cancelled; uid="lunch@example.org"',)

    def test_patience_ends(self, dns: Dns) -> None:
        desk, mail = self.desk(dns), signed(cancel())
        dns.down.add("*")
        assert desk.deliver(mail) == (TRY_AGAIN,)
        desk.later(hours=25)
        (status,) = desk.deliver(mail)
        assert status.done
        assert desk.outcomes() == ["error: sender-not-proven"]
        assert desk.told()[0].entry.detail == "DNS: s1._domainkey.example.net: Timeout"
        assert b"STATUS:CANCELLED" not in desk.bodies()[0]

    def test_the_ledger_says_by_what_the_sender_was_proven(self, dns: Dns) -> None:
        desk = self.desk(dns, "dmarc")
        desk.deliver(signed(cancel()))
        assert desk.told()[0].entry.detail == "sender proven: dmarc=pass for example.net, verified here"

    def test_a_mail_for_many_is_proven_once(self, dns: Dns) -> None:
        desk, others = self.desk(dns), [f"guest{number}@example.org" for number in range(5)]
        desk.accounts = {address: with_policy(sender="dkim") for address in (ALICE, *others)}
        desk.deliver(signed(cancel()), ALICE, *others)
        assert dns.asked == ["s1._domainkey.example.net"]
        dns.down.add("*")
        assert set(desk.deliver(signed(cancel(minute=2)), ALICE, *others)) == {TRY_AGAIN}
        assert len(dns.asked) == 2

    def test_nothing_is_asked_where_no_policy_does(self, dns: Dns) -> None:
        desk = Desk({ALICE: ALICES}, proof=Verifier("", dns))
        desk.keep(invited())
        desk.deliver(signed(cancel()))
        assert dns.asked == []

    def test_nothing_is_asked_about_what_is_refused_anyway(self, dns: Dns) -> None:
        desk = self.desk(dns)
        (status,) = desk.deliver(signed(cancel().replace(b"METHOD:CANCEL", b"METHOD:ODD")))
        assert status.code == DONE.code
        assert dns.asked == []

    def test_without_a_door_nobody_is_proven(self) -> None:
        desk = Desk({ALICE: with_policy(sender="dkim")})
        desk.deliver(signed(cancel()))
        assert desk.outcomes() == ["error: sender-not-proven"]
