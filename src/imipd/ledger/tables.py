"""The ledger's tables. A change here needs a migration and a new `HEAD`; a test compares the three.

What was decided (`entry`) and what is remembered (`revision`, `tombstone`) are kept apart, because the one is
forgotten sooner than the other. What was seen on calendar servers (`collection`, `seen`) can be read there again.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    false,
)

from .columns import Moment, Name, Words

HEAD = "0004"
"""The revision in `migrations/versions` that leads to these tables."""

VERSION_TABLE = "ledger_version"
"""Where Alembic stamps the revision; not its default name, which another program may use beside us."""

METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")

ENTRY = Table(
    "entry",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("digest", Name, nullable=False),
    Column("recipient", Name, nullable=False),
    Column("completed", Boolean, nullable=False),
    Column("account", Name, nullable=False),
    Column("time", Moment, nullable=False),
    Column("message_id", Words, nullable=False),
    Column("originator", Name, nullable=False),
    Column("method", Words, nullable=False),
    Column("uid", Name, nullable=False),
    Column("recurrence_ids", Words, nullable=False),  # these three as JSON lists
    Column("revisions", Words, nullable=False),
    Column("tombstones", Words, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("href", Words, nullable=False),
    Column("duration", Float, nullable=False),
    Column("former", LargeBinary, nullable=True),
    # With defaults: a node that runs the version before goes on writing entries.
    Column("displaced", Words, nullable=False, server_default=""),
    Column("written", LargeBinary, nullable=True),
    Column("etag", Words, nullable=False, server_default=""),
    Column("undoes", BigInteger, nullable=True),
    Column("undone", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("digest", "recipient", name="entry_key"),
    Index("entry_time", "time"),
    Index("entry_recipient_time", "recipient", "time"),
    Index("entry_uid", "uid"),
    Index("entry_applied", "account", "originator", "time"),
    sqlite_autoincrement=True,  # a number that somebody noted is never given to another entry
)

REVISION = Table(
    "revision",
    METADATA,
    Column("account", Name, primary_key=True),
    Column("uid", Name, primary_key=True),
    Column("party", Name, primary_key=True),
    Column("recurrence_id", Name, primary_key=True),
    Column("sequence", Integer, nullable=True),
    Column("dtstamp", Moment, nullable=True),
    Column("date", Moment, nullable=True),
    Column("first", Words, nullable=True),
    Column("time", Moment, nullable=False),
)

TOMBSTONE = Table(
    "tombstone",
    METADATA,
    Column("account", Name, primary_key=True),
    Column("uid", Name, primary_key=True),
    Column("party", Name, primary_key=True),
    Column("recurrence_id", Name, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("dtstamp", Moment, nullable=True),
    Column("time", Moment, nullable=False),
)

POSTPONED = Table(
    "postponed",
    METADATA,
    Column("digest", Name, primary_key=True),
    Column("recipient", Name, primary_key=True),
    Column("first_time", Moment, nullable=False),
    Column("last_time", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("why", Words, nullable=False),
)

COLLECTION = Table(
    "collection",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("name", Name, nullable=False),
    Column("state", Words, nullable=False),
    Column("time", Moment, nullable=False),  # when it was read
    UniqueConstraint("name", name="collection_name"),
)

SEEN = Table(
    "seen",
    METADATA,
    Column("collection", NUMBER, ForeignKey("collection.number", ondelete="CASCADE"), primary_key=True),
    Column("path", Words, primary_key=True),  # of at most 1000 characters
    Column("uid", Name, primary_key=True),
    Column("etag", Words, nullable=False),
    Index("seen_uid", "collection", "uid"),
)
