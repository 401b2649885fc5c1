"""A private DAViCal from Debian's packages: a copy of its program behind an Apache, and a PostgreSQL, of its own."""

import shutil
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import niquests
import psycopg

from debian import await_calendars, open_folder, program, run
from postgres import postgres
from servers import ADDRESSES, USERS, Server, free_port, running

PROGRAM = Path("/usr/share/davical")
MODULES = ("mpm_prefork", "authz_core", "dir", "alias", "mime", "setenvif", "rewrite")
APACHE = """\
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
Mutex file:{folder} default
ErrorLog {folder}/error.log
User www-data
Group www-data
{modules}
LoadModule php_module {php}
TypesConfig /dev/null
KeepAlive On
KeepAliveTimeout 30
MaxKeepAliveRequests 0
StartServers 2
MaxRequestWorkers 40
DocumentRoot {folder}/program/htdocs
RewriteEngine On
RewriteRule ^/\\.well-known/caldav/?$ /caldav.php/ [NC,PT]
SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1
AcceptPathInfo On
<Directory {folder}/program/htdocs>
  Require all granted
  DirectoryIndex index.php
  <FilesMatch \\.php$>
    SetHandler application/x-httpd-php
  </FilesMatch>
</Directory>
php_admin_value include_path {folder}/program/inc:/usr/share/awl/inc
# What is under /etc is out of its sight: it goes on to ../config/config.php.
php_admin_value open_basedir {folder}:/usr/share/awl:/usr/share/davical:/tmp
php_admin_flag display_errors off
php_admin_value error_log {folder}/php.log
"""
CONFIG = """\
<?php
$c->pg_connect[] = "host=127.0.0.1 port={port} dbname=davical user=davical_app";
$c->system_name = "imipd tests";
$c->admin_email = "postmaster@example.org";
$c->default_locale = "en";
{more}
"""


@contextmanager
def davical(more: str = "$c->enable_auto_schedule = true;", users: Mapping[str, str] = USERS) -> Iterator[Server]:
    """Run DAViCal with a calendar ``calendar`` for each user; `more` is PHP for its configuration."""
    program("/usr/sbin/apache2", package="davical")
    with open_folder("davical") as folder, postgres() as database:
        port = free_port()
        _make_database(database.server, users)
        _make_program(folder, CONFIG.format(port=urllib.parse.urlsplit(database.server).port, more=more))
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES)
        php = max(Path("/usr/lib/apache2/modules").glob("libphp*.so"))
        config = folder / "apache.conf"
        config.write_text(APACHE.format(folder=folder, port=port, modules=modules, php=php))
        with running(["/usr/sbin/apache2", "-d", folder, "-f", config, "-DFOREGROUND"], folder, port) as process:
            url, path = f"http://127.0.0.1:{port}/", "/caldav.php/{user}/"
            for user, password in users.items():
                home = f"{url}caldav.php/{user}/"
                await_calendars(home, user, password, folder / "error.log")
                niquests.request("MKCALENDAR", f"{home}calendar/", auth=(user, password), timeout=20).raise_for_status()
            yield Server(url, users, path, process, path, ADDRESSES)


def _make_database(url: str, users: Mapping[str, str]) -> None:
    """Let DAViCal's own script make its tables, and add the users."""
    place = urllib.parse.urlsplit(url)
    environment = (f"PGHOST={place.hostname}", f"PGPORT={place.port}", f"PGUSER={place.username}")
    run("env", "-C", PROGRAM / "dba", *environment, "sh", "create-database.sh", "davical", "unused")
    with psycopg.connect(f"{url}/davical", autocommit=True) as connection:
        for user, password in users.items():
            connection.execute(
                "INSERT INTO usr (username, password, fullname, email, active) VALUES (%s, %s, %s, %s, true)",
                (user, f"**{password}", user.title(), f"{user}@example.org"),  # two stars: not hashed
            )
        connection.execute(
            "INSERT INTO principal (type_id, user_no, displayname, default_privileges)"
            " SELECT 1, user_no, fullname, 0::BIT(24) FROM usr WHERE user_no > 1"
        )


def _make_program(folder: Path, config: str) -> None:
    """Copy the program, so that it finds our configuration beside it."""
    for part in ("htdocs", "inc"):
        shutil.copytree(PROGRAM / part, folder / "program" / part)
    (folder / "program" / "config").mkdir()
    (folder / "program" / "config" / "config.php").write_text(config)
