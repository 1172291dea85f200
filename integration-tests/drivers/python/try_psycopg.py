"""psycopg 3: parameters, every type in text and binary, executemany, COPY in text and binary, transactions, server errors."""

import psycopg
from psycopg.types.json import Jsonb

from readings import COLUMNS, CREATE, PORT, ROWS, row, same

SELECT = f"SELECT {', '.join(COLUMNS)} FROM {{table}} ORDER BY ts"
INSERT = f"INSERT INTO {{table}} ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"


def adapted(values):
    return [Jsonb(v) if c == "j" and v is not None else v for c, v in zip(COLUMNS, values)]


with psycopg.connect(host="127.0.0.1", port=PORT, user="postgres", dbname="postgres") as connection:
    assert connection.info.server_version >= 150000
    connection.autocommit = True
    connection.execute(CREATE.format(table="inserted"))
    for values in ROWS:
        cursor = connection.execute(INSERT.format(table="inserted"), adapted(values))
        assert cursor.rowcount == 1
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        cursor.execute(SELECT.format(table="inserted"))
        same(cursor.fetchall(), ROWS, f"binary={binary}")
        cursor.execute(SELECT.format(table="inserted").replace("ORDER", "WHERE device = %s AND i4 > %s ORDER"), ["d2", 5])
        same(cursor.fetchall(), ROWS[2:], f"parameters in a condition, binary={binary}")

    connection.execute(CREATE.format(table="many"))
    many = [row(s, device=f"d{s % 7}") for s in range(50)]
    with connection.cursor() as cursor:
        cursor.executemany(INSERT.format(table="many"), [adapted(values) for values in many])
    same(connection.execute(SELECT.format(table="many")).fetchall(), many, "executemany")

    for form in ("TEXT", "BINARY"):
        table = f"copied_{form.lower()}"
        connection.execute(CREATE.format(table=table))
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT {form})") as copy:
                copy.set_types([
                    "timestamptz", "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "text",
                    "bytea", "timestamptz", "timestamp", "date", "jsonb", "text", "varchar",
                ])
                for values in ROWS:
                    copy.write_row(adapted(values))
            assert cursor.rowcount == len(ROWS)
        same(connection.execute(SELECT.format(table=table)).fetchall(), ROWS, f"COPY {form}")

    connection.autocommit = False
    connection.execute(INSERT.format(table="inserted"), adapted(row(30)))
    assert connection.execute("SELECT count(*) FROM inserted").fetchone() == (4,)
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM inserted").fetchone() == (3,)
    with connection.transaction():
        connection.execute(INSERT.format(table="inserted"), adapted(row(31)))
    connection.commit()
    assert connection.execute("SELECT count(*) FROM inserted").fetchone() == (4,)
    try:
        connection.execute("SELECT * FROM nowhere")
        raise AssertionError("a missing table is an error")
    except psycopg.errors.UndefinedTable:
        connection.rollback()

    with connection.pipeline():
        cursors = [connection.execute(INSERT.format(table="many"), adapted(row(s, device="p"))) for s in range(20)]
    connection.commit()
    assert all(cursor.rowcount == 1 for cursor in cursors)
    assert connection.execute("SELECT count(*) FROM many WHERE device = 'p'").fetchone() == (20,)
