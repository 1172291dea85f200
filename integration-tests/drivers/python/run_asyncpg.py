"""The scenario by asyncpg, which is binary throughout, then what only this driver does: records, cursors, pools."""

import asyncio
import datetime
import io
import json

import asyncpg
from scenario import Result, arguments, native, run


def adapted(name, value):
    # JSON is text to this driver.
    return value if name.startswith("json") else native(name, value)


class Driver:
    key = "asyncpg"
    name = f"asyncpg {asyncpg.__version__}"
    can_not = {
        "pipeline": "the driver sends one statement at a time",
    }

    wrong = {}

    def __init__(self, port, loop):
        self.loop = loop
        self.connection = loop.run_until_complete(connect(port))

    def sqlstate(self, error):
        return getattr(error, "sqlstate", None)

    def wait(self, what):
        return self.loop.run_until_complete(what)

    def execute(self, step):
        return self.wait(self.executed(step))

    async def executed(self, step):
        values = [adapted(name, value) for name, value in step.get("params", [])]
        if "columns" not in step and not values:
            # Without parameters this is the simple protocol, as for BEGIN.
            return Result(count=count_of(await self.connection.execute(step["sql"])))
        if "repeat" in step or "may_fail_once" in step:
            # From the driver's own cache of statements.
            return Result([list(row) for row in await self.connection.fetch(step["sql"], *values)])
        statement = await self.connection.prepare(step["sql"])
        rows = await statement.fetch(*values)
        attributes = statement.get_attributes()
        names, oids = [a.name for a in attributes], [a.type.oid for a in attributes]
        return Result([list(row) for row in rows], names, oids, count_of(statement.get_statusmsg()))

    def batch(self, step):
        lists = [[adapted(name, value) for name, value in zip(step["types"], values)] for values in step["batch"]]
        self.wait(self.connection.executemany(step["sql"], lists))
        return Result()

    def copy_in(self, step):
        # The driver writes its own COPY: columns and options are read from the statement.
        table, _, rest = step["sql"].removeprefix("COPY ").partition(" (")
        columns = rest.partition(")")[0].split(", ")
        options = {"format": "csv", "header": True} if "csv" in rest else {}
        data = io.BytesIO(step["copy_in"].encode())
        return Result(count=count_of(self.wait(self.connection.copy_to_table(table, source=data, columns=columns, **options))))

    def copy_out(self, step):
        query = step["sql"].removeprefix("COPY (").partition(") TO STDOUT")[0]
        options = {"format": "csv", "header": True} if "csv" in step["sql"] else {}
        data = io.BytesIO()
        self.wait(self.connection.copy_from_query(query, output=data, **options))
        return data.getvalue().decode()

    def fetch(self, step):
        async def rows():
            values = [adapted(name, value) for name, value in step.get("params", [])]
            async with self.connection.transaction():
                return [list(row) async for row in self.connection.cursor(step["sql"], *values, prefetch=step["fetch"])]

        return Result(self.wait(rows()))

    def cancel(self, step):
        async def canceled():
            # The driver sends a CancelRequest when the task that waits for the statement is canceled.
            task = self.loop.create_task(self.connection.execute(step["sql"]))
            await asyncio.sleep(step["cancel"] / 1000)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                raise asyncpg.QueryCanceledError from None

        self.wait(canceled())


def connect(port):
    return asyncpg.connect(host="127.0.0.1", port=port, user="postgres", database="postgres")


def count_of(tag):
    last = (tag or "").split(" ")[-1]
    return int(last) if last.isdigit() else None


async def own(port):
    """Records by binary COPY, a cursor that moves, nested transactions, time limits, a pool."""
    connection = await connect(port)
    await connection.execute(
        "CREATE TABLE own (ts timestamptz NOT NULL, i integer, n numeric(20,6), t text, raw bytea, j jsonb, device text, PRIMARY KEY (device, ts))"
    )
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    records = [(start + datetime.timedelta(seconds=s), s, None, f"ü{s}", bytes([s]), json.dumps({"s": s}), "d") for s in range(50)]
    tag = await connection.copy_records_to_table("own", records=records, columns=["ts", "i", "n", "t", "raw", "j", "device"])
    assert tag == "COPY 50", tag
    found = await connection.fetch("SELECT ts, i, n, t, raw, j, device FROM own ORDER BY ts")
    assert [tuple(row) for row in found] == records
    assert found[3]["t"] == "ü3" and list(found[0].keys())[:2] == ["ts", "i"]
    async with connection.transaction():
        cursor = await connection.cursor("SELECT i FROM own ORDER BY ts")
        assert [row["i"] for row in await cursor.fetch(3)] == [0, 1, 2]
        assert (await cursor.fetchrow())["i"] == 3
        assert len(await cursor.fetch(100)) == 46 and await cursor.fetch(1) == []
    async with connection.transaction():
        await connection.execute("INSERT INTO own (ts, device) VALUES ($1, 'outer')", start)
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO own (ts, device) VALUES ($1, 'inner')", start)
                raise KeyError
        except KeyError:
            pass
    assert [row["device"] for row in await connection.fetch("SELECT DISTINCT device FROM own ORDER BY device")] == ["d", "outer"]
    slow = "SELECT count(*) FROM generate_series(1, 3000000) AS a (x), generate_series(1, 3000000) AS b (y) WHERE (x + y) % 7 = 5"
    try:
        await connection.execute(slow, timeout=0.2)
        raise AssertionError("the time limit has not been kept")
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT 40 + 2") == 42
    await connection.close()
    async with asyncpg.create_pool(host="127.0.0.1", port=port, user="postgres", database="postgres", min_size=1) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 40 + 2") == 42


port, server, steps = arguments()
with asyncio.Runner() as runner:
    loop = runner.get_loop()
    failed = run(Driver(port, loop), steps, server)
    runner.run(own(port))
raise SystemExit(failed > 0)
