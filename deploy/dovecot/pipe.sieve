# Sieve: hand calendar mail to imipc, and hope.
#
# WARNING: a `pipe` program that fails is never run again. Dovecot files the mail and answers 250 to the MTA, whatever
# the program's exit code is. So an answer that arrives while imipd or the calendar is away never reaches the calendar.
# execute.sieve and redirect.sieve have no such gap, nor has a copy made by the MTA. docs/mail/dovecot.md says more;
# tests/e2e sends mail through this very file, and shows the loss.
require ["vnd.dovecot.pipe", "copy", "mime", "foreverypart", "variables", "envelope"];

set "from" "";
if envelope :matches "from" "*" { set "from" "${1}"; }

foreverypart {
  if header :mime :contenttype "Content-Type" ["text/calendar", "application/ics", "text/x-vcalendar"] {
    if envelope :matches "to" "*" {
      pipe :copy :try "imipc" ["-s", "/run/imipd/lmtp.sock", "-f", "${from}", "-r", "${1}"];
    }
    break;
  }
}
