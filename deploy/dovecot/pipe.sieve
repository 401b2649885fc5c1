# Dovecot (Pigeonhole) Sieve: hand calendar mail to `imipd pipe`.
# Tried by hand with Dovecot 2.3.19 on Debian 12, and what the warning says was seen; no automated test yet.
#
# WARNING: a `pipe` program that fails is never run again. Dovecot files the mail and answers 250 to the MTA, whatever
# the program's exit code is. So an answer that arrives while the calendar server is away never reaches the calendar.
# redirect.sieve has no such gap, nor has a copy made by the MTA.
#
# Needs in Dovecot:
#   plugin {
#     sieve_plugins = sieve_extprograms
#     sieve_extensions = +vnd.dovecot.pipe
#     sieve_pipe_bin_dir = /usr/local/lib/dovecot/sieve-pipe
#   }
# and /usr/local/lib/dovecot/sieve-pipe/imipd, executable:
#   #!/bin/sh
#   exec /opt/imipd/bin/imipd pipe -c /etc/imipd/imipd.toml -r "$1"
# It runs as the user of the mailbox, who has to be able to read the configuration and to write to the ledger.
require ["vnd.dovecot.pipe", "copy", "mime", "foreverypart", "variables", "envelope"];

foreverypart {
  if header :mime :contenttype "Content-Type" ["text/calendar", "application/ics", "text/x-vcalendar"] {
    if envelope :matches "to" "*" {
      pipe :copy :try "imipd" ["${1}"];
    }
    break;
  }
}
