# ruff: noqa: S608 - what attackers run is made of constants
"""What somebody who owns the database may do to an audit chain of twelve events, nine signed.

Each attack: the statements, what a verification must call it, and the event it must name.
"""

SIGNED, LAST = 9, 12

FREE = """ALTER TABLE audit_event DISABLE TRIGGER ALL;
ALTER TABLE audit_event DROP CONSTRAINT IF EXISTS audit_event_seq_check;
ALTER TABLE audit_checkpoint DISABLE TRIGGER ALL;"""
HERE = "namespace_id = (SELECT min(namespace_id) FROM namespace)"
COPY = """INSERT INTO audit_event (namespace_id, seq, occurred_at, actor, client, request_id,
action, resource, before, after, prev_hash, hash)
SELECT namespace_id, {seq}, occurred_at, 'mallory', client, request_id, action,
 resource, before, after, {prev}, hash FROM audit_event WHERE seq = 5"""
UP = """UPDATE audit_event SET seq = -seq WHERE seq > 5;
UPDATE audit_event SET seq = 1 - seq WHERE seq < 0"""
ATTACKS = {
    "a field changed": ("UPDATE audit_event SET actor = 'eve' WHERE seq = 5", "changed", 5),
    "content changed": ("""UPDATE audit_event SET after = '{"x":1}' WHERE seq = 5""", "changed", 5),
    "time changed": (
        "UPDATE audit_event SET occurred_at = occurred_at - interval '1 h' WHERE seq = 5",
        "changed",
        5,
    ),
    "hash changed": ("UPDATE audit_event SET hash = sha256('x') WHERE seq = 5", "changed", 5),
    "link changed": ("UPDATE audit_event SET prev_hash = sha256('x') WHERE seq = 5", "changed", 5),
    "the last changed": (
        f"UPDATE audit_event SET actor = 'eve' WHERE seq = {LAST}",
        "changed",
        LAST,
    ),
    "one removed": ("DELETE FROM audit_event WHERE seq = 5", "removed", 5),
    "the first removed": ("DELETE FROM audit_event WHERE seq = 1", "removed", 1),
    "removed and closed up": (
        f"""DELETE FROM audit_event WHERE seq = 5;
        UPDATE audit_event SET seq = -seq WHERE seq > 5;
        UPDATE audit_event SET seq = -seq - 1 WHERE seq < 0;
        UPDATE event_counter SET last_seq = last_seq - 1 WHERE {HERE}""",
        "removed",
        5,
    ),
    "two swapped": (
        """UPDATE audit_event SET seq = -5 WHERE seq = 5;
        UPDATE audit_event SET seq = 5 WHERE seq = 6;
        UPDATE audit_event SET seq = 6 WHERE seq = -5""",
        "reordered",
        5,
    ),
    "one put between": (
        f"""{UP}; {COPY.format(seq=6, prev="hash")};
        UPDATE event_counter SET last_seq = last_seq + 1 WHERE {HERE}""",
        "inserted",
        6,
    ),
    "one put behind": (COPY.format(seq=LAST + 1, prev="hash"), "inserted", LAST + 1),
    "tail cut off": (f"DELETE FROM audit_event WHERE seq > {LAST - 2}", "truncated", LAST - 1),
    "tail cut off with the counter": (
        f"""DELETE FROM audit_event WHERE seq > 6; UPDATE event_counter SET last_seq = 6,
        last_hash = (SELECT hash FROM audit_event WHERE seq = 6) WHERE {HERE}""",
        "truncated",
        7,
    ),
    "all removed with the counter": (
        rf"""DELETE FROM audit_event; UPDATE event_counter SET last_seq = 0,
        last_hash = decode(repeat('00', 32), 'hex') WHERE {HERE}""",
        "truncated",
        1,
    ),
    "the counter alone": (
        f"UPDATE event_counter SET last_hash = sha256('x') WHERE {HERE}",
        "changed",
        LAST,
    ),
    "a checkpoint changed": (
        "UPDATE audit_checkpoint SET signature = decode(repeat('07', 64), 'hex')",
        "checkpoint",
        SIGNED,
    ),
}
