"""The scenario (scenario.yaml) and the comparing, for every Python driver.

usage: scenario.py             prints the steps as JSON, for the runners in other languages
       run_DRIVER.py PORT JSON  runs them; exits with 0 when all came out as written

A runner gives `run` an object with

    key, name                         what it is, in marks and in output
    can_not                           kinds of steps, types, values or names of steps that the driver has nothing for, with the reason
    wrong                             the same for what comes out wrong at Taospg with this driver alone
    execute(step)                     -> Result; raises for an error
    sqlstate(exception)               -> SQLSTATE, or None if it is not an error of the server

and, where the driver has such things, batch, pipeline, copy_in, copy_out, fetch, cancel, each taking the step.
"""

import datetime
import decimal
import json
import pathlib
import struct
import sys
import traceback
import uuid

SCENARIO = pathlib.Path(__file__).parents[2] / "scenario.yaml"
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(2000, 1, 1)

OIDS = {
    "bool": 16, "bytea": 17, "name": 19, "int8": 20, "int2": 21, "int4": 23, "text": 25, "json": 114, "float4": 700, "float8": 701,
    "bpchar": 1042, "varchar": 1043, "date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "interval": 1186,
    "numeric": 1700, "uuid": 2950, "jsonb": 3802,
    "bool[]": 1000, "bytea[]": 1001, "int2[]": 1005, "int4[]": 1007, "text[]": 1009, "varchar[]": 1015, "int8[]": 1016,
    "float4[]": 1021, "float8[]": 1022, "timestamp[]": 1115, "date[]": 1182, "time[]": 1183, "timestamptz[]": 1185,
    "interval[]": 1187, "numeric[]": 1231, "json[]": 199, "uuid[]": 2951, "jsonb[]": 3807,
}


class Result:
    """What came of a statement: rows as the driver gave them, names and type OIDs where it tells them, rows affected."""

    def __init__(self, rows=None, names=None, oids=None, count=None):
        self.rows, self.names, self.oids, self.count = rows, names, oids, count


def load():
    """All steps, those of the round trips spelled out."""
    import yaml

    scenario = yaml.safe_load(SCENARIO.read_text())
    steps = []
    for name, values in scenario["roundtrips"].items():
        marks = scenario["roundtrips_wrong"].get(name, {})
        alone = values + [None]
        for kind, value in [(name, value) for value in alone] + [(f"{name}[]", alone)]:
            step = {"sql": f"SELECT CAST($1 AS {kind}) AS v", "params": [[kind, value]], "columns": [kind], "rows": [[value]]}
            mark = marks.get("array" if kind != name else value)
            steps.append(step | mark if mark else step)
    return steps + scenario["steps"]


def describe(step):
    text = step.get("name") or step.get("sql") or str(step["pipeline"])
    values = [value for _, value in step.get("params", [])] if "CAST($1" in text else ""
    return " ".join(f"{text} {values or ''}".split())[:160]


def kinds(step):
    """What a driver may lack that a step asks for: kinds of steps, types, single values; a step may also be left out by its name."""
    found = [kind for kind in ("batch", "pipeline", "fetch", "copy_in", "copy_out", "cancel") if kind in step]
    types = [name for name, _ in step.get("params", [])] + step.get("types", []) + step.get("columns", [])
    found += types + ["arrays" for name in types if name.endswith("[]")]
    found += [step.get("needs"), step.get("name")]
    found += [f"{name} {value}" for name, value in step.get("params", []) if isinstance(value, str)]
    return found


# --- values ---


def native(name, text):
    """The Python value of a value as written in the scenario."""
    if text is None:
        return None
    if name.endswith("[]"):
        return [native(name[:-2], value) for value in text]
    match name:
        case "bool":
            return text == "t"
        case "int2" | "int4" | "int8":
            return int(text)
        case "float4" | "float8":
            return float(text)
        case "numeric":
            return decimal.Decimal(text)
        case "bytea":
            return bytes.fromhex(text[2:])
        case "date":
            return datetime.date.fromisoformat(text)
        case "time":
            return datetime.time.fromisoformat(padded(text))
        case "timestamp":
            return datetime.datetime.fromisoformat(padded(text))
        case "timestamptz":
            return datetime.datetime.fromisoformat(padded(text.removesuffix("+00"))).replace(tzinfo=UTC)
        case "interval":
            return interval(text)
        case "uuid":
            return uuid.UUID(text)
        case "json" | "jsonb":
            return json.loads(text)
    return text


def padded(text):
    """Fractions of a second with six digits, as Python 3.10 wants them."""
    whole, dot, fraction = text.partition(".")
    return whole + dot + fraction.ljust(6, "0") if dot else whole


def interval(text):
    words = text.split()
    days = int(words[0]) if len(words) > 1 else 0
    clock = words[-1]
    sign = -1 if clock.startswith("-") else 1
    hours, minutes, seconds = clock.lstrip("+-").split(":")
    seconds = decimal.Decimal(seconds)
    clock = datetime.timedelta(hours=int(hours), minutes=int(minutes), microseconds=int(seconds * 1_000_000))
    return datetime.timedelta(days=days) + sign * clock


def comparable(name, value):
    """Equal for equal values of the type, whatever form the driver gave them."""
    if value is None:
        return None
    if name.endswith("[]"):
        return [comparable(name[:-2], element) for element in value]
    match name:
        case "float4":
            return struct.pack("f", float(value)).hex() if value == value else "NaN"
        case "float8":
            return repr(float(value))
        case "numeric":
            return format(decimal.Decimal(value), "f") if not isinstance(value, float) else repr(value)
        case "bytea":
            return bytes(value).hex()
        case "timestamptz":
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        case "interval":
            return interval(value) if isinstance(value, str) else value
        case "json" | "jsonb":
            return json.loads(value) if isinstance(value, str) else value
        case "uuid":
            return str(value).lower()
        case "bpchar":
            return value.rstrip(" ")
    return value


# --- running ---


def check(step, result):
    if "count" in step:
        assert result.count == step["count"], f"{result.count} rows affected instead of {step['count']}"
    if "rows" in step:
        columns = step["columns"]
        found = [[comparable(name, value) for name, value in zip(columns, row, strict=True)] for row in result.rows]
        wanted = [[comparable(name, native(name, value)) for name, value in zip(columns, row)] for row in step["rows"]]
        assert found == wanted, f"\n  wanted {wanted}\n  found  {found}"
        if result.oids is not None:
            wanted = [OIDS[name] for name in columns]
            assert result.oids == wanted, f"types {result.oids} instead of {wanted}"
    if "names" in step and result.names is not None:
        assert result.names == step["names"], f"names {result.names} instead of {step['names']}"


def perform(driver, step):
    """Runs a step; raises if anything of it is not as written."""
    expected = step.get("error")
    action = next((kind for kind in ("batch", "pipeline", "copy_in", "copy_out", "fetch", "cancel") if kind in step), "execute")
    failures = 1 if "may_fail_once" in step else 0
    for _ in range(step.get("repeat", 1) + failures):
        try:
            result = getattr(driver, action)(step)
        except Exception as error:
            state = driver.sqlstate(error)
            if failures and state == step["may_fail_once"]:
                failures -= 1
                continue
            if state is None or state != expected:
                raise
            continue
        assert not expected, f"no error, but {expected} is expected"
        if action == "copy_out":
            assert result == step["copy_out"], f"\n  wanted {step['copy_out']!r}\n  found  {result!r}"
        else:
            check(step, result)


def mark(driver, step):
    """Why a step comes out wrong at Taospg: for all drivers, or for this one alone."""
    if "wrong" in step and driver.key not in step.get("right_by", []):
        return step["wrong"]
    return next((driver.wrong[kind] for kind in kinds(step) if kind in driver.wrong), None)


def run(driver, steps, server):
    """Runs all steps, and says of each that did not come out as written why. `server` is taospg or postgres."""
    failed = left_out = 0
    for step in steps:
        reason = next((driver.can_not[kind] for kind in kinds(step) if kind in driver.can_not), None)
        if reason:
            left_out += 1
            print(f"{driver.name}: left out: {describe(step)}: {reason}")
            continue
        wrong = mark(driver, step) if server == "taospg" else None
        try:
            perform(driver, step)
        except Exception as error:
            if wrong:
                continue
            failed += 1
            where = "" if isinstance(error, AssertionError) or driver.sqlstate(error) else traceback.format_exc()
            print(f"{driver.name}: {describe(step)}: {type(error).__name__} {driver.sqlstate(error) or ''} {str(error).strip()}\n{where}")
        else:
            if wrong:
                failed += 1
                print(f"{driver.name}: {describe(step)}: comes out right now: take away its mark ({wrong})")
    print(f"{driver.name}: {len(steps) - failed - left_out} steps as written, {left_out} left out, {failed} not")
    return failed


def arguments():
    """PORT, SERVER (taospg or postgres) and the steps."""
    port, server, path = sys.argv[1:4]
    return int(port), server, json.loads(pathlib.Path(path).read_text())


if __name__ == "__main__":
    print(json.dumps(load()))
