# Sieve: send a copy of calendar mail to the address that the MTA brings to imipd by LMTP. The copy goes through the
# MTA's queue, so it is tried again while imipd or the calendar is away: nothing is lost.
# docs/mail/dovecot.md says more; tests/e2e sends mail through this very file.
#
# From stays as it is, which imipd relies on; sieve_max_redirects (4) counts it. An .ics file of another type
# (application/octet-stream) is not seen: add types as you meet them.
require ["copy", "mime", "foreverypart", "variables", "envelope"];

foreverypart {
  if header :mime :contenttype "Content-Type" ["text/calendar", "application/ics", "text/x-vcalendar"] {
    if envelope :localpart :matches "to" "*" {
      redirect :copy "${1}@imip.invalid";
    }
    break;
  }
}
