"""The statements of `statements` as SQLite is told them, for who does without SQLAlchemy.

Written by `tests/ledger_texts.py`, and held against the statements by a test.
"""

HEAD = "0004"

NAMES = frozenset({"account", "digest", "name", "originator", "party", "recipient", "recurrence_id", "uid"})
MOMENTS = frozenset({"date", "dtstamp", "first_time", "last_time", "time"})
FLAGS = frozenset({"completed", "undone"})

STAMP = "SELECT version_num FROM ledger_version"

FIND = (
    "SELECT entry.number, entry.digest, entry.recipient, entry.completed, entry.account, entry.time, "
    "entry.message_id, entry.originator, entry.method, entry.uid, entry.recurrence_ids, entry.revisions, "
    "entry.tombstones, entry.outcome, entry.reason, entry.detail, entry.href, entry.duration, entry.former, "
    "entry.displaced, entry.written, entry.etag, entry.undoes, entry.undone FROM entry WHERE entry.digest = "
    ":key_digest AND entry.recipient = :key_recipient"
)

REVISIONS = (
    "SELECT revision.party, revision.recurrence_id, revision.sequence, revision.dtstamp, revision.date, "
    "revision.first FROM revision WHERE revision.account = :account AND revision.uid = :uid ORDER BY "
    "revision.time, revision.party, revision.recurrence_id, revision.sequence, revision.dtstamp, "
    "revision.date, revision.first"
)

TOMBSTONES = (
    "SELECT tombstone.party, tombstone.recurrence_id, tombstone.sequence, tombstone.dtstamp FROM tombstone "
    "WHERE tombstone.account = :account AND tombstone.uid = :uid ORDER BY tombstone.time, tombstone.party, "
    "tombstone.recurrence_id, tombstone.sequence, tombstone.dtstamp"
)

UNDONE = (
    "SELECT entry.account = :account AND (entry.undone = 1 OR (EXISTS (SELECT * FROM entry AS entry_1 WHERE "
    "entry_1.uid = entry.uid AND entry_1.undoes = entry.number AND entry_1.completed = 0))) AS anon_1 FROM "
    "entry WHERE entry.digest = :digest"
)

APPLIED = (
    "SELECT count(*) AS count_1 FROM entry WHERE entry.account = :account AND entry.originator = :originator "
    "AND entry.time > :since AND entry.completed = 1 AND entry.outcome IN ('added', 'updated') AND "
    "entry.undoes IS NULL"
)

PUT_ENTRY = (
    "INSERT INTO entry (digest, recipient, completed, account, time, message_id, originator, method, uid, "
    "recurrence_ids, revisions, tombstones, outcome, reason, detail, href, duration, former, displaced, "
    "written, etag, undoes) VALUES (:digest, :recipient, :completed, :account, :time, :message_id, "
    ":originator, :method, :uid, :recurrence_ids, :revisions, :tombstones, :outcome, :reason, :detail, :href, "
    ":duration, :former, :displaced, :written, :etag, :undoes) ON CONFLICT (digest, recipient) DO UPDATE SET "
    "completed = excluded.completed, account = excluded.account, time = excluded.time, message_id = "
    "excluded.message_id, originator = excluded.originator, method = excluded.method, uid = excluded.uid, "
    "recurrence_ids = excluded.recurrence_ids, revisions = excluded.revisions, tombstones = "
    "excluded.tombstones, outcome = excluded.outcome, reason = excluded.reason, detail = excluded.detail, href "
    "= excluded.href, duration = excluded.duration, former = excluded.former, displaced = excluded.displaced, "
    "written = excluded.written, etag = excluded.etag, undoes = excluded.undoes"
)

PUT_REVISION = (
    "INSERT INTO revision (account, uid, party, recurrence_id, sequence, dtstamp, date, first, time) VALUES "
    "(:account, :uid, :party, :recurrence_id, :sequence, :dtstamp, :date, :first, :time) ON CONFLICT (account, "
    "uid, party, recurrence_id) DO UPDATE SET sequence = excluded.sequence, dtstamp = excluded.dtstamp, date = "
    "excluded.date, first = excluded.first, time = excluded.time WHERE excluded.time >= revision.time"
)

PUT_TOMBSTONE = (
    "INSERT INTO tombstone (account, uid, party, recurrence_id, sequence, dtstamp, time) VALUES (:account, "
    ":uid, :party, :recurrence_id, :sequence, :dtstamp, :time) ON CONFLICT (account, uid, party, "
    "recurrence_id, sequence) DO UPDATE SET dtstamp = excluded.dtstamp, time = excluded.time WHERE "
    "excluded.time >= tombstone.time"
)

KNOWN = (
    "SELECT collection.state, seen.path FROM collection LEFT OUTER JOIN seen ON seen.collection = "
    "collection.number AND seen.uid = :uid WHERE collection.name = :name"
)

NO_MORE_POSTPONED = (
    "DELETE FROM postponed WHERE postponed.digest = :key_digest AND postponed.recipient = :key_recipient"
)
