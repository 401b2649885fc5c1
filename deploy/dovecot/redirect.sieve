# Dovecot (Pigeonhole) Sieve: send a copy to the address that the MTA brings to imipd by LMTP.
# The copy goes through the MTA's queue, so it is tried again while imipd is away.
# Tried by hand with Dovecot 2.3.19 on Debian 12, up to the MTA; no automated test yet.
#
# Needs: sieve_extensions with "copy" (the default), a working submission_host or sendmail for Dovecot, and in the MTA
# relay_domains and transport_maps for imip.invalid (deploy/postfix/main.cf; there without recipient_bcc_maps).
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
