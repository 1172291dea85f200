"""The scenario by psycopg2, which writes values into the text, then what only this driver does."""

import datetime
import io
import json
import threading

import psycopg2
import psycopg2.extras
from scenario import Result, arguments, native, run
from placeholders import percent_s

psycopg2.extras.register_uuid()


def adapted(name, value):
    value = native(name, value)
    if value is None:
        return None
    if name in ("json", "jsonb"):
        return psycopg2.extras.Json(value)
    if name in ("json[]", "jsonb[]"):
        return [element and json.dumps(element) for element in value]
    return value


class Driver:
    key = "psycopg2"
    name = f"psycopg2 {psycopg2.__version__.split()[0]}"
    can_not = {
        "pipeline": "the driver sends one statement at a time",
        "jsonb[]": "arrays of jsonb come as text: the driver knows no type for them",
        "numeric NaN": "the driver reads NaN of numeric as a double",
    }

    # Arrays are written as ARRAY[…] of literals.
    wrong = {
        "bytea[]": "an array of quoted bytea cannot be made",
        "float4[]": "3.4e+38 as a literal is a numeric of more than 38 digits",
        "float8[]": "1.7e+308 as a literal is a numeric of more than 38 digits",
    }

    def __init__(self, port):
        self.connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
        self.connection.autocommit = True

    def sqlstate(self, error):
        return getattr(error, "pgcode", None)

    def execute(self, step):
        text, values = percent_s(step["sql"], [adapted(name, value) for name, value in step.get("params", [])])
        with self.connection.cursor() as cursor:
            cursor.execute(text, values or None)
            if cursor.description is None:
                return Result(count=cursor.rowcount)
            return Result(cursor.fetchall(), [c.name for c in cursor.description], [c.type_code for c in cursor.description], cursor.rowcount)

    def batch(self, step):
        lists = [[adapted(name, value) for name, value in zip(step["types"], values)] for values in step["batch"]]
        text, _ = percent_s(step["sql"], lists[0])
        with self.connection.cursor() as cursor:
            psycopg2.extras.execute_batch(cursor, text, lists)
        return Result()

    def copy_in(self, step):
        with self.connection.cursor() as cursor:
            cursor.copy_expert(step["sql"], io.StringIO(step["copy_in"]))
            return Result(count=cursor.rowcount)

    def copy_out(self, step):
        data = io.StringIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(step["sql"], data)
        return data.getvalue()

    def fetch(self, step):
        # A named cursor is DECLARE, FETCH, CLOSE.
        text, values = percent_s(step["sql"], [adapted(name, value) for name, value in step.get("params", [])])
        self.connection.autocommit = False
        try:
            with self.connection.cursor("parts") as cursor:
                cursor.itersize = step["fetch"]
                cursor.execute(text, values or None)
                return Result(list(cursor))
        finally:
            self.connection.rollback()
            self.connection.autocommit = True

    def cancel(self, step):
        timer = threading.Timer(step["cancel"] / 1000, self.connection.cancel)
        timer.start()
        try:
            self.execute(step)
        finally:
            timer.join()


def own(port):
    """Many rows in one statement, COPY of a table, and a connection given back."""
    connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE own (ts timestamptz NOT NULL, v integer, device text, PRIMARY KEY (device, ts))")
        rows = [(datetime.datetime(2026, 1, 1, 0, 0, s, tzinfo=datetime.timezone.utc), s, "d") for s in range(50)]
        psycopg2.extras.execute_values(cursor, "INSERT INTO own (ts, v, device) VALUES %s", rows, page_size=20)
        cursor.execute("SELECT ts, v, device FROM own ORDER BY ts")
        assert cursor.fetchall() == rows
        data = io.StringIO("e\t2026-01-01\t1\n")
        cursor.copy_from(data, "own", columns=("device", "ts", "v"))
        assert cursor.rowcount == 1
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SELECT v, device FROM own WHERE device = %(device)s", {"device": "e"})
        assert cursor.fetchall() == [{"v": 1, "device": "e"}]
    connection.reset()
    connection.close()


port, server, steps = arguments()
failed = run(Driver(port), steps, server)
own(port)
raise SystemExit(failed > 0)
