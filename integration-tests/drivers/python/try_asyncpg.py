"""asyncpg (binary throughout): parameters, every type, executemany, COPY of records, cursors, pool."""

import asyncio
import json

import asyncpg

from readings import COLUMNS, CREATE, PORT, ROWS, row, same

INSERT = f"INSERT INTO {{table}} ({', '.join(COLUMNS)}) VALUES ({', '.join(f'${n + 1}' for n in range(len(COLUMNS)))})"
SELECT = f"SELECT {', '.join(COLUMNS)} FROM {{table}} ORDER BY ts"


def adapted(values):
    return [json.dumps(v) if c == "j" and v is not None else v for c, v in zip(COLUMNS, values)]


async def main():
    connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="postgres", database="postgres")
    await connection.execute(CREATE.format(table="inserted"))
    for values in ROWS:
        assert await connection.execute(INSERT.format(table="inserted"), *adapted(values)) == "INSERT 0 1"
    same([tuple(r) for r in await connection.fetch(SELECT.format(table="inserted"))], ROWS, "insert")
    condition = SELECT.format(table="inserted").replace("ORDER", "WHERE device = $1 AND i4 > $2 ORDER")
    same([tuple(r) for r in await connection.fetch(condition, "d2", 5)], ROWS[2:], "parameters in a condition")
    assert await connection.fetchval("SELECT count(*) FROM inserted WHERE ts >= $1", ROWS[1][0]) == 2
    assert await connection.fetchval("SELECT count(*) FROM inserted WHERE device = ANY($1::text[])", ["d2", "x"]) == 1

    await connection.execute(CREATE.format(table="many"))
    many = [row(s, device=f"d{s % 7}") for s in range(50)]
    await connection.executemany(INSERT.format(table="many"), [adapted(values) for values in many])
    same([tuple(r) for r in await connection.fetch(SELECT.format(table="many"))], many, "executemany")

    await connection.execute(CREATE.format(table="copied"))
    tag = await connection.copy_records_to_table("copied", records=[adapted(v) for v in ROWS], columns=COLUMNS)
    assert tag == f"COPY {len(ROWS)}"
    same([tuple(r) for r in await connection.fetch(SELECT.format(table="copied"))], ROWS, "COPY")

    async with connection.transaction():
        found = [tuple(r) async for r in connection.cursor(SELECT.format(table="many"), prefetch=7)]
    same(found, many, "cursor")
    try:
        async with connection.transaction():
            await connection.execute(INSERT.format(table="inserted"), *adapted(row(40)))
            raise KeyError
    except KeyError:
        pass
    assert await connection.fetchval("SELECT count(*) FROM inserted") == 3
    await connection.close()

    async with asyncpg.create_pool(host="127.0.0.1", port=PORT, user="postgres", database="postgres", min_size=1) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 40 + 2") == 42


asyncio.run(main())
