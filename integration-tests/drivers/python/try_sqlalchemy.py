"""SQLAlchemy Core on psycopg: a table of its own, insert with parameters, typed select, bulk insert, transactions."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from readings import COLUMNS, PORT, ROWS, row, same

engine = sa.create_engine(f"postgresql+psycopg://postgres@127.0.0.1:{PORT}/postgres")
metadata = sa.MetaData()
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("ts", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("b", sa.Boolean),
    sa.Column("i2", sa.SmallInteger),
    sa.Column("i4", sa.Integer),
    sa.Column("i8", sa.BigInteger),
    sa.Column("f4", sa.REAL),
    sa.Column("f8", sa.Double),
    sa.Column("n", sa.Numeric(20, 6)),
    sa.Column("t", sa.Text),
    sa.Column("v", sa.String(20)),
    sa.Column("c", sa.CHAR(3)),
    sa.Column("raw", BYTEA),
    sa.Column("tz", sa.DateTime(timezone=True)),
    sa.Column("tl", sa.DateTime),
    sa.Column("d", sa.Date),
    sa.Column("j", JSONB(none_as_null=True)),
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("site", sa.String(20), primary_key=True),
)
wanted = sa.select(readings).order_by(readings.c.ts)

with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    connection.execute(sa.schema.CreateTable(readings))

with engine.begin() as connection:
    for values in ROWS:
        connection.execute(sa.insert(readings).values(dict(zip(COLUMNS, values))))
    same([tuple(r) for r in connection.execute(wanted)], ROWS, "within the transaction")
with engine.connect() as connection:
    same([tuple(r) for r in connection.execute(wanted)], ROWS, "after it")
    of_d2 = wanted.where(readings.c.device == "d2", readings.c.i4.in_([1, 2147483647])).limit(5)
    same([tuple(r) for r in connection.execute(of_d2)], ROWS[2:], "conditions")
    largest = sa.select(readings.c.device, sa.func.count(), sa.func.max(readings.c.i4)).group_by(readings.c.device)
    assert sorted(connection.execute(largest).all()) == [("d'1", 2, 2147483647), ("d2", 1, 2147483647)]

many = [row(s, device="m") for s in range(40)]
with engine.begin() as connection:
    connection.execute(sa.insert(readings), [dict(zip(COLUMNS, values)) for values in many])
with engine.connect() as connection:
    same([tuple(r) for r in connection.execute(wanted.where(readings.c.device == "m"))], many, "bulk insert")
with engine.connect() as connection:
    connection.execute(sa.delete(readings).where(readings.c.device == "m"))
    connection.rollback()
    assert connection.scalar(sa.select(sa.func.count()).select_from(readings)) == 43
