"""pandas: to_sql makes the table and fills it, appends to it and to a table that was there; read_sql gives the same frame back.

usage: run_pandas.py PORT SERVER
"""

import sys

import pandas as pd
import sqlalchemy as sa
from parts import run_parts

engine = sa.create_engine(f"postgresql+psycopg://postgres@127.0.0.1:{sys.argv[1]}/postgres")
times = pd.date_range("2026-01-01", periods=500, freq="s", tz="UTC").as_unit("us")
frame = pd.DataFrame({
    "ts": times,
    "value": [s / 8 for s in range(500)],
    "count": range(500),
    "ok": [s % 2 == 0 for s in range(500)],
    "note": [None if s % 3 else f"ü{s}" for s in range(500)],
})


def same(found, wanted):
    pd.testing.assert_frame_equal(found.assign(note=found["note"].astype(object).where(found["note"].notna(), None)),
                                  wanted.assign(note=wanted["note"].astype(object).where(wanted["note"].notna(), None)), check_dtype=False)


def made_by_to_sql():
    frame.to_sql("pandas_frame", engine, index=False)
    same(pd.read_sql("SELECT * FROM pandas_frame ORDER BY ts", engine, parse_dates={"ts": {"utc": True}}), frame)
    mean = pd.read_sql(sa.text("SELECT avg(value) AS mean, count(*) AS n FROM pandas_frame WHERE ts < :end"), engine, params={"end": times[100]})
    assert mean.loc[0, "n"] == 100 and mean.loc[0, "mean"] == sum(range(100)) / 800, mean


def appended():
    later = frame.assign(ts=frame["ts"] + pd.Timedelta(days=1))
    later.to_sql("pandas_frame", engine, index=False, if_exists="append", method="multi", chunksize=100)
    assert len(pd.read_sql("SELECT ts FROM pandas_frame", engine)) == 1000


def read_as_a_table():
    assert len(pd.read_sql_table("pandas_frame", engine)) == 1000


def replaced():
    frame.to_sql("pandas_frame", engine, index=False, if_exists="replace")
    assert len(pd.read_sql("SELECT ts FROM pandas_frame", engine)) == 500


def appended_to_a_table_with_a_key():
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE pandas_keyed (ts timestamptz NOT NULL, value double precision, device text, PRIMARY KEY (device, ts))"))
    for device in ("a", "b"):
        frame[["ts", "value"]].assign(device=device).to_sql("pandas_keyed", engine, index=False, if_exists="append")
    with engine.connect() as connection:
        pivot = pd.read_sql("SELECT ts, device, value FROM pandas_keyed", connection).pivot(index="ts", columns="device", values="value")
    assert pivot.shape == (500, 2) and (pivot["a"] == pivot["b"]).all()


parts = [made_by_to_sql, appended, read_as_a_table, replaced, appended_to_a_table_with_a_key]
raise SystemExit(run_parts(f"pandas {pd.__version__}", parts, {}, sys.argv[2]) > 0)
