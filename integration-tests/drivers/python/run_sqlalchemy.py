"""SQLAlchemy with each of its drivers: Core, ORM, reflection; Alembic finds nothing to change in what it has just made.

usage: run_sqlalchemy.py PORT SERVER STEPS DIALECT (postgresql+psycopg, postgresql+psycopg2, postgresql+asyncpg)
"""

import asyncio
import datetime
import functools
import sys
from decimal import Decimal

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, insert
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from parts import run_parts

PORT, SERVER, _, DIALECT = sys.argv[1:5]
URL = f"{DIALECT}://postgres@127.0.0.1:{PORT}/postgres"
UTC = datetime.timezone.utc


class Base(DeclarativeBase):
    pass


class Reading(Base):
    """One of every type that a table can hold."""

    __tablename__ = "orm_readings"

    device: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    ts: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True), primary_key=True)
    b: Mapped[bool | None]
    i2: Mapped[int | None] = mapped_column(sa.SmallInteger)
    i4: Mapped[int | None]
    i8: Mapped[int | None] = mapped_column(sa.BigInteger)
    f4: Mapped[float | None] = mapped_column(sa.REAL)
    f8: Mapped[float | None] = mapped_column(sa.Double)
    n: Mapped[Decimal | None] = mapped_column(sa.Numeric(20, 6))
    t: Mapped[str | None] = mapped_column(sa.Text)
    v: Mapped[str | None] = mapped_column(sa.String(20))
    c: Mapped[str | None] = mapped_column(sa.CHAR(3))
    raw: Mapped[bytes | None] = mapped_column(BYTEA)
    tl: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    d: Mapped[datetime.date | None]
    j: Mapped[dict | None] = mapped_column(JSONB(none_as_null=True))


def reading(second, **changes):
    values = {
        "device": "d'1", "ts": datetime.datetime(2026, 3, 1, 12, 0, second, 123456, tzinfo=UTC), "b": True, "i2": -32768, "i4": 2147483647,
        "i8": -9223372036854775808, "f4": 1.5, "f8": 0.1, "n": Decimal("12345678901234.567890"), "t": "naïve 日本 %s :x", "v": "", "c": "abc",
        "raw": bytes(range(256)), "tl": datetime.datetime(2026, 3, 29, 2, 30), "d": datetime.date(1969, 12, 31), "j": {"a": [1, None, "ü"]},
    }
    return values | changes


NULLS = {column.name: None for column in Reading.__table__.columns if column.nullable}
readings = Reading.__table__


def core(connection):
    rows = [reading(0), reading(1) | NULLS, reading(2, device="d2", f8=float("inf"))]
    with connection.begin():
        for row in rows:
            connection.execute(sa.insert(readings).values(row))
        found = connection.execute(sa.select(readings).order_by(readings.c.ts))
        assert [dict(row._mapping) for row in found] == rows
    with connection.begin():
        connection.execute(sa.insert(readings), [reading(s, device="many") for s in range(40)])
        largest = sa.select(readings.c.device, sa.func.count(), sa.func.max(readings.c.i4)).group_by(readings.c.device).order_by(readings.c.device)
        assert connection.execute(largest).all() == [("d'1", 2, 2147483647), ("d2", 1, 2147483647), ("many", 40, 2147483647)]
        some = sa.select(readings.c.f8).where(readings.c.device.in_(["d2", "d'1"]), readings.c.i4 > 5, readings.c.t.like("na%")).order_by(readings.c.ts).limit(5).offset(1)
        assert connection.execute(some).all() == [(float("inf"),)]
    with connection.begin():
        key = {name: reading(0)[name] for name in ("device", "ts")}
        again = insert(readings).values(**key, i4=7)
        connection.execute(again.on_conflict_do_update(index_elements=["device", "ts"], set_={"i4": again.excluded.i4}))
        connection.execute(insert(readings).values(**key, i4=8).on_conflict_do_nothing())
        assert connection.scalar(sa.select(readings.c.i4).where(readings.c.device == "d'1", readings.c.i4.is_not(None))) == 7
    transaction = connection.begin()
    connection.execute(sa.delete(readings).where(readings.c.device == "many"))
    transaction.rollback()
    with connection.begin():
        assert connection.scalar(sa.select(sa.func.count()).select_from(readings)) == 43
        with connection.begin_nested() as savepoint:
            connection.execute(sa.insert(readings).values(reading(50)))
            savepoint.rollback()
        assert connection.scalar(sa.select(sa.func.count()).select_from(readings)) == 43


def orm(connection):
    with Session(connection) as session:
        session.add_all([Reading(**reading(s, device="orm")) for s in range(3)])
        session.commit()
        found = session.scalars(sa.select(Reading).where(Reading.device == "orm").order_by(Reading.ts)).all()
        assert [one.ts.second for one in found] == [0, 1, 2] and found[0].j == {"a": [1, None, "ü"]}
        assert session.get(Reading, ("orm", found[1].ts)) is found[1]
        session.delete(found[2])
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Reading).where(Reading.device == "orm")) == 2
        found[0].f8 = 2.5
        session.commit()
        session.expire_all()
        assert session.get(Reading, ("orm", datetime.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC))).f8 == 2.5


def reflection(connection):
    inspector = sa.inspect(connection)
    assert inspector.has_table("orm_readings") and not inspector.has_table("nowhere")
    assert "public" in inspector.get_schema_names()
    assert "orm_readings" in inspector.get_table_names()
    columns = {column["name"]: column for column in inspector.get_columns("orm_readings")}
    assert list(columns) == [column.name for column in readings.columns]
    for column in readings.columns:
        found, wanted = (kind.compile(connection.dialect) for kind in (columns[column.name]["type"], column.type))
        assert found == wanted, f"{column.name}: {found} instead of {wanted}"
        assert columns[column.name]["nullable"] == column.nullable, column.name
    assert inspector.get_pk_constraint("orm_readings")["constrained_columns"] == ["device", "ts"]
    assert inspector.get_foreign_keys("orm_readings") == [] and inspector.get_unique_constraints("orm_readings") == []
    assert inspector.get_indexes("orm_readings") == [] and inspector.get_check_constraints("orm_readings") == []
    inspector.get_view_names()
    inspector.get_table_comment("orm_readings")
    reflected = sa.Table("orm_readings", sa.MetaData(), autoload_with=connection)
    assert [column.name for column in reflected.primary_key] == ["device", "ts"]


def alembic(connection):
    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": lambda thing, name, *_: name != "pandas_frame"})
    changes = compare_metadata(context, Base.metadata)
    assert changes == [], changes


def everything(connection):
    """A part that fails leaves its transaction to the next."""

    def part(function):
        @functools.wraps(function)
        def with_connection():
            try:
                function(connection)
            finally:
                if connection.in_transaction():
                    connection.rollback()

        return with_connection

    return run_parts(f"SQLAlchemy {sa.__version__} {DIALECT}", [part(one) for one in (core, orm, reflection, alembic)], {}, SERVER)


async def asynchronously():
    engine = create_async_engine(URL)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with engine.connect() as connection:
        failed = await connection.run_sync(everything)
    await engine.dispose()
    return failed


def synchronously():
    engine = sa.create_engine(URL)
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        return everything(connection)


failed = asyncio.run(asynchronously()) if DIALECT.endswith("asyncpg") else synchronously()
raise SystemExit(failed > 0)
