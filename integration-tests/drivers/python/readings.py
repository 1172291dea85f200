"""The table, rows and questions that every Python driver is tried with.

usage: DRIVER.py PORT; exits with 0 when everything came back as it was sent.
"""

import datetime
import json
import sys
from decimal import Decimal

PORT = int(sys.argv[1])

UTC = datetime.timezone.utc

COLUMNS = [
    "ts", "b", "i2", "i4", "i8", "f4", "f8", "n", "t", "v", "c", "raw", "tz", "tl", "d", "j", "device", "site",
]

CREATE = """
CREATE TABLE {table} (
    ts timestamptz NOT NULL, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
    n numeric(20,6), t text, v varchar(20), c char(3), raw bytea, tz timestamptz, tl timestamp, d date, j jsonb,
    device text, site varchar(20), PRIMARY KEY (device, site, ts))
"""


def row(second, **changes):
    """A row of COLUMNS as Python values; every one exactly representable."""
    values = {
        "ts": datetime.datetime(2026, 3, 1, 12, 0, second, 123456, tzinfo=UTC),
        "b": True,
        "i2": -32768,
        "i4": 2147483647,
        "i8": -9223372036854775808,
        "f4": 1.5,
        "f8": 0.1,
        "n": Decimal("12345678901234.567890"),
        "t": "naïve 日本 'quoted' \\ tab\t line\n end",
        "v": "",
        "c": "abc",
        "raw": bytes(range(256)),
        "tz": datetime.datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "tl": datetime.datetime(2026, 3, 29, 2, 30),
        "d": datetime.date(1969, 12, 31),
        "j": {"a": [1, None, {"b": "ü"}], "n": 1.5},
        "device": "d'1",
        "site": "north",
    }
    values.update(changes)
    return tuple(values[column] for column in COLUMNS)


NULLS = {column: None for column in COLUMNS if column not in ("ts", "device", "site")}

ROWS = [row(0), row(1, **NULLS), row(2, device="d2", f8=float("inf"), f4=float("-inf"), i8=9223372036854775807)]


def same(found, sent, what):
    """Compares rows; JSON may come as text."""
    found = [tuple(json.loads(v) if c == "j" and isinstance(v, str) else v for c, v in zip(COLUMNS, r)) for r in found]
    assert found == sent, f"{what}:\nsent  {sent}\nfound {found}"
