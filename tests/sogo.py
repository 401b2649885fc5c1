"""A private SOGo from Debian's packages: sogod with memcached and a PostgreSQL of its own."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from debian import await_calendars, open_folder, program, run
from postgres import postgres
from servers import ADDRESSES, USERS, Server, free_port, running

TABLES = {
    "SOGoProfileURL": "sogo_user_profile",
    "OCSFolderInfoURL": "sogo_folder_info",
    "OCSSessionsFolderURL": "sogo_sessions_folder",
    "OCSEMailAlarmsFolderURL": "sogo_alarms_folder",
    "OCSStoreURL": "sogo_store",
    "OCSAclURL": "sogo_acl",
    "OCSCacheFolderURL": "sogo_cache_folder",
    "OCSAdminURL": "sogo_admin",
}
SOURCES = (
    '({{ type = sql; id = people; viewURL = "{url}/people"; canAuthenticate = YES; isAddressBook = YES;'
    " userPasswordAlgorithm = plain; MailFieldNames = (mail); }})"
)


@contextmanager
def sogo(
    smtp: str = "127.0.0.1:9", domain: str = "example.org", users: Mapping[str, str] = USERS, **more: str
) -> Iterator[Server]:
    """Run SOGo with a calendar ``personal`` for each user; `more` are settings of its own."""
    sogod = program("/usr/sbin/sogod", package="sogo")
    memcached = program("/usr/bin/memcached", package="memcached")
    with ExitStack() as stack:
        folder, cached = stack.enter_context(open_folder("sogo")), stack.enter_context(open_folder("memcached"))
        url = _make_database(stack.enter_context(postgres()).server, domain, users)
        memory, port = free_port(), free_port()
        command: list[str | Path] = [memcached, "-u", "nobody", "-l", "127.0.0.1", "-p", str(memory)]
        stack.enter_context(running(command, cached, memory))
        settings = {
            **{name: f"{url}/{table}" for name, table in TABLES.items()},
            "SOGoUserSources": SOURCES.format(url=url),
            "SOGoMemcachedHost": f"127.0.0.1:{memory}",
            "SOGoMailDomain": domain,
            "SOGoTimeZone": "UTC",
            "SOGoAppointmentSendEMailNotifications": "NO",  # SOGo's default; the file in Debian's package says YES
            "SOGoMailingMechanism": "smtp",
            "SOGoSMTPServer": f"smtp://{smtp}",
            "WOPort": f"127.0.0.1:{port}",
            "WOWorkersCount": "3",
            "WOWatchDogRequestTimeout": "1",
            "WOPidFile": str(folder / "pid"),
            "WOLogFile": "-",
            "WONoDetach": "YES",
            **more,
        }
        run("chown", "-R", "sogo", folder)
        # Its configuration file has a fixed place under /etc; what is said on the command line comes before it.
        arguments = [word for name, value in settings.items() for word in (f"-{name}", value)]
        as_user = ["setpriv", "--reuid=sogo", "--regid=sogo", "--clear-groups", "env", f"HOME={folder}"]
        process = stack.enter_context(running([*as_user, sogod, *arguments], folder, port))
        for user, password in users.items():
            calendar = f"http://127.0.0.1:{port}/SOGo/dav/{user}/Calendar/personal/"
            await_calendars(calendar, user, password, folder / "log")
        yield Server(
            f"http://127.0.0.1:{port}/SOGo/dav/",
            users,
            "/SOGo/dav/{user}/Calendar/",
            process,
            "/SOGo/dav/{user}/",
            ADDRESSES,
        )


def _make_database(server: str, domain: str, users: Mapping[str, str]) -> str:
    """Make the database with the table of people, and return its URL; SOGo makes its own tables."""
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE sogo")
    with psycopg.connect(f"{server}/sogo", autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE people (c_uid text PRIMARY KEY, c_name text, c_password text, c_cn text, mail text)"
        )
        for user, password in users.items():
            row = (user, user, password, user.title(), f"{user}@{domain}")
            connection.execute("INSERT INTO people VALUES (%s, %s, %s, %s, %s)", row)
    return f"{server}/sogo"
