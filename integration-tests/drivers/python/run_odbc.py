"""The scenario by ODBC: pyodbc on psqlODBC, then the catalog functions that ODBC has."""

import os
import threading

import pyodbc
from parts import run_parts
from scenario import Result, arguments, native, run
from placeholders import question_marks


def adapted(name, value):
    # What ODBC has no type for goes as text.
    return value if name in ("interval", "json", "jsonb", "uuid", "timestamptz") else native(name, value)


class Driver:
    key = "odbc"
    name = f"psqlODBC by pyodbc {pyodbc.version}"
    can_not = {
        "arrays": "ODBC has no arrays",
        "pipeline": "ODBC sends one statement at a time",
        "copy_in": "ODBC has no COPY",
        "copy_out": "ODBC has no COPY",
        "time 12:34:56.789": "ODBC's time has no fractions",
        "time 23:59:59.999999": "ODBC's time has no fractions",
        "a failed transaction takes nothing more": "the driver rolls back to a savepoint of its own after a failed statement",
    }

    wrong = {}

    def __init__(self, port):
        self.connection = connect(port)

    def sqlstate(self, error):
        return error.args[0] if isinstance(error, pyodbc.Error) else None

    def execute(self, step):
        text, values = question_marks(step["sql"], [adapted(name, value) for name, value in step.get("params", [])])
        cursor = self.connection.cursor()
        cursor.execute(text, *values)
        if cursor.description is None:
            return Result(count=cursor.rowcount)
        return Result([list(row) for row in cursor.fetchall()], [c[0] for c in cursor.description])

    def batch(self, step):
        lists = [[adapted(name, value) for name, value in zip(step["types"], values)] for values in step["batch"]]
        text, _ = question_marks(step["sql"], lists[0])
        self.connection.autocommit = False
        try:
            self.connection.cursor().executemany(text, lists)
            self.connection.commit()
        finally:
            self.connection.rollback()
            self.connection.autocommit = True
        return Result()

    def fetch(self, step):
        text, values = question_marks(step["sql"], [adapted(name, value) for name, value in step.get("params", [])])
        cursor = self.parts.cursor()
        cursor.execute(text, *values)
        rows = []
        while part := cursor.fetchmany(step["fetch"]):
            rows += [list(row) for row in part]
        return Result(rows)

    def cancel(self, step):
        cursor = self.connection.cursor()
        timer = threading.Timer(step["cancel"] / 1000, cursor.cancel)
        timer.start()
        try:
            cursor.execute(step["sql"])
        finally:
            timer.join()


def connect(port, **options):
    further = "".join(f"{name}={value};" for name, value in options.items())
    text = f"Driver={os.environ['ODBC_DRIVER']};Server=127.0.0.1;Port={port};Uid=postgres;Database=postgres;BoolsAsChar=0;{further}"
    return pyodbc.connect(text, autocommit=True)


def tables():
    assert [row.table_name for row in catalog().tables(table="readings")] == ["readings"]


def columns():
    found = {row.column_name: row.type_name for row in catalog().columns(table="readings")}
    assert found["ts"] == "timestamptz" and found["i4"] == "int4" and found["n"] == "numeric", found


def keys():
    assert sorted(row.column_name for row in catalog().primaryKeys("readings")) == ["device", "site", "ts"]


def indexes():
    found = {row.column_name for row in catalog().statistics("readings") if row.column_name}
    assert found == {"device", "site", "ts"}, found


def types():
    assert "timestamptz" in [row.type_name for row in catalog().getTypeInfo()]


def catalog():
    return connect(port).cursor()


# What Taospg is known to do otherwise than PostgreSQL.
WRONG = {}

port, server, steps = arguments()
driver = Driver(port)
driver.parts = connect(port, UseDeclareFetch=1, Fetch=2)
failed = run(driver, steps, server)
failed += run_parts(Driver.name, [tables, columns, keys, indexes, types], WRONG, server)
raise SystemExit(failed > 0)
