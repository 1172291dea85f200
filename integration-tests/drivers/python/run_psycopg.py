"""The scenario by psycopg 3, with results in text and again in binary, then what only this driver does."""

import datetime
import threading

import psycopg
from psycopg import sql
from psycopg.types.json import Json, Jsonb
from scenario import Result, arguments, native, run
from placeholders import percent_s


def adapted(name, value):
    value = native(name, value)
    if value is None:
        return None
    match name:
        case "json":
            return Json(value)
        case "jsonb":
            return Jsonb(value)
        case "json[]":
            return [element and Json(element) for element in value]
        case "jsonb[]":
            return [element and Jsonb(element) for element in value]
    return value


class Driver:
    def __init__(self, port, binary):
        self.name = f"psycopg {psycopg.__version__} {'binary' if binary else 'text'}"
        self.key = "psycopg"
        self.can_not = self.wrong = {}
        self.binary = binary
        self.connection = psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True)

    def sqlstate(self, error):
        return getattr(error, "sqlstate", None)

    def execute(self, step):
        text, values = percent_s(step["sql"], [adapted(name, value) for name, value in step.get("params", [])])
        cursor = self.connection.cursor(binary=self.binary)
        cursor.execute(text, values or None)
        if cursor.description is None:
            return Result(count=cursor.rowcount)
        return Result(cursor.fetchall(), [c.name for c in cursor.description], [c.type_code for c in cursor.description], cursor.rowcount)

    def batch(self, step):
        lists = [[adapted(name, value) for name, value in zip(step["types"], values)] for values in step["batch"]]
        text, _ = percent_s(step["sql"], lists[0])
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(text, lists)
            return Result(count=cursor.rowcount)

    def pipeline(self, step):
        with self.connection.pipeline():
            for text in step["pipeline"]:
                self.connection.execute(text)

    def copy_in(self, step):
        with self.connection.cursor() as cursor:
            with cursor.copy(step["sql"]) as copy:
                copy.write(step["copy_in"])
            return Result(count=cursor.rowcount)

    def copy_out(self, step):
        with self.connection.cursor() as cursor, cursor.copy(step["sql"]) as copy:
            return b"".join(bytes(data) for data in copy).decode()

    def fetch(self, step):
        # libpq's chunked rows: the rows of one Execute, without a cursor of SQL.
        text, values = percent_s(step["sql"], [adapted(name, value) for name, value in step.get("params", [])])
        cursor = self.connection.cursor(binary=self.binary)
        return Result(list(cursor.stream(text, values or None, size=step["fetch"])))

    def cancel(self, step):
        timer = threading.Timer(step["cancel"] / 1000, self.connection.cancel_safe)
        timer.start()
        try:
            self.execute(step)
        finally:
            timer.join()


def own(port):
    """Binary COPY, nested transactions, declared cursors' substitute, notices, and what the connection knows of its server."""
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres") as connection:
        assert connection.info.parameter_status("client_encoding") == "UTF8"
        assert connection.info.server_version >= 150000
        connection.execute("CREATE TABLE own (ts timestamptz NOT NULL, v double precision, n numeric(20,6), device text, PRIMARY KEY (device, ts))")
        connection.commit()
        rows = [(datetime.datetime(2026, 1, 1, 0, 0, s, tzinfo=datetime.timezone.utc), s / 8, None, "d") for s in range(50)]
        with connection.cursor() as cursor:
            with cursor.copy("COPY own (ts, v, n, device) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["timestamptz", "float8", "numeric", "text"])
                for row in rows:
                    copy.write_row(row)
            assert cursor.rowcount == 50
        assert connection.execute("SELECT * FROM own ORDER BY ts").fetchall() == rows
        with connection.cursor() as cursor, cursor.copy("COPY (SELECT ts, v FROM own ORDER BY ts) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["timestamptz", "float8"])
            assert list(copy.rows()) == [row[:2] for row in rows]
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM own").fetchone() == (0,)
        with connection.transaction():
            connection.execute("INSERT INTO own (ts, device) VALUES ('2026-01-01', 'a')")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO own (ts, device) VALUES ('2026-01-01', 'b')")
                    raise KeyError
            except KeyError:
                pass
        assert connection.execute("SELECT device FROM own").fetchall() == [("a",)]
        connection.rollback()
        name = sql.Identifier("own")
        prepared = [connection.execute(sql.SQL("SELECT count(*) FROM {} WHERE v > %s").format(name), (n,), prepare=True) for n in range(3)]
        assert [cursor.fetchone() for cursor in prepared] == [(0,)] * 3


port, server, steps = arguments()
failed = run(Driver(port, False), steps, server)
with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as connection:
    connection.execute("DROP TABLE readings; DROP TABLE many")
failed += run(Driver(port, True), steps, server)
own(port)
raise SystemExit(failed > 0)
