# Sieve: hand calendar mail to imipd at once, by imipc; where that fails, send a copy through the MTA, which tries it
# again: nothing is lost. docs/mail/dovecot.md says more; tests/e2e sends mail through this very file.
require ["vnd.dovecot.execute", "copy", "mime", "foreverypart", "variables", "envelope"];

set "from" "";
if envelope :matches "from" "*" { set "from" "${1}"; }

foreverypart {
  if header :mime :contenttype "Content-Type" ["text/calendar", "application/ics", "text/x-vcalendar"] {
    if envelope :matches "to" "*" {
      set "to" "${1}";
      if not execute :pipe "imipc" ["-s", "/run/imipd/lmtp.sock", "-f", "${from}", "-r", "${to}"] {
        if envelope :localpart :matches "to" "*" {
          redirect :copy "${1}@imip.invalid";
        }
      }
    }
    break;
  }
}
