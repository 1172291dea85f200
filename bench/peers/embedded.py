"""Runs DuckDB or ClickHouse (chdb) for taospg-bench: one JSON object a line in, one out. Times are taken here, around the library's own call,
with the answer as Arrow data, which costs these systems least."""

import json
import pathlib
import shutil
import sys
import time


class DuckDb:
    def __init__(self, directory):
        import duckdb
        import pyarrow  # noqa: F401  loaded here, not within the first question

        self.library = duckdb
        self.directory = directory
        self.connection = None

    def open(self, database):
        if self.connection:
            self.connection.close()
        for old in self.directory.glob("*.duckdb*"):
            old.unlink()
        path = self.directory / f"{database}.duckdb"
        self.connection = self.library.connect(str(path))

    def execute(self, sql):
        # Fetched, so that it has ended: its file may go then.
        self.connection.execute(sql).fetchall()

    def arrow(self, sql):
        return self.connection.sql(sql).to_arrow_table()

    def rows(self, sql):
        cells = self.connection.execute(sql).fetchall()
        return [[text(cell) for cell in row] for row in cells]


class ClickHouse:
    def __init__(self, directory):
        import pyarrow  # noqa: F401  loaded here, not within the first question
        from chdb import session

        self.library = session
        self.directory = directory
        self.session = None

    def open(self, database):
        if self.session:
            self.session.close()
        for old in self.directory.iterdir():
            shutil.rmtree(old)
        path = self.directory / database
        self.session = self.library.Session(str(path))
        self.session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
        self.session.query("USE bench")

    def execute(self, sql):
        self.session.query(sql)

    def arrow(self, sql):
        return self.session.query(sql, "ArrowTable")

    def rows(self, sql):
        lines = self.session.query(sql, "TSV").data().splitlines()
        return [[None if cell == "\\N" else cell for cell in line.split("\t")] for line in lines]


def text(cell):
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "t" if cell else "f"
    return str(cell)


def answer(system, request):
    sql = request.get("sql")
    start = time.perf_counter()
    match request["do"]:
        case "open":
            system.open(request["database"])
            return {}
        case "execute":
            system.execute(sql)
            return {"seconds": time.perf_counter() - start}
        case "ask":
            table = system.arrow(sql)
            return {"seconds": time.perf_counter() - start, "rows": table.num_rows}
        case "rows":
            return {"rows": system.rows(sql)}


def main():
    directory = pathlib.Path(sys.argv[2])
    system = {"duckdb": DuckDb, "clickhouse": ClickHouse}[sys.argv[1]](directory)
    for line in sys.stdin:
        try:
            reply = answer(system, json.loads(line))
        except Exception as error:  # told to the caller, which decides
            reply = {"error": str(error)}
        print(json.dumps(reply), flush=True)


main()
