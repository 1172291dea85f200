"""psycopg 3's own tests, from its repository: its distributions carry none."""

import os
import re
import subprocess
import sys

TITLE = "psycopg's own tests"
VERSION = "3.3.4"
# A copy of it serves as well.
SOURCE = os.environ.get("TAOSPG_PSYCOPG_SOURCE", "https://github.com/psycopg/psycopg.git")
NEEDED = [
    f"psycopg[binary]=={VERSION}",
    "anyio==4.16.0",
    "pproxy==2.7.9",
    # The pool's tests are left out, but its fixtures are there.
    "psycopg-pool==3.3.3",
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
]
# Longer than any test that passes takes; one that hangs has failed.
TEST_SECONDS_MAX = 10
# Tests of types' hints, of another server, of name servers, of packages that are not there.
LEFT_OUT = ["pool", "crdb", "scripts", "test_typing.py", "test_dns.py", "test_dns_srv.py", "test_gevent.py"]
# Their own words for tests that wait, race or hang now and then.
MARKS = "not slow and not flakey and not timing and not subprocess"
# The first fails with PostgreSQL too: it looks into a libpq of another version. The second closes a connection and wants to be told at once.
FLAPPING = ["tests/pq/test_pgconn.py::test_pgconn_ptr", "tests/test_waiting.py::test_wait_remote_closed[wait_selector]"]


def missing():
    reached = subprocess.run(["git", "ls-remote", "--tags", SOURCE, VERSION], capture_output=True)
    return None if reached.returncode == 0 and reached.stdout else f"way to {SOURCE}"


def prepare(place):
    """A Python with the driver and pytest, and the driver's tests, at the pinned version."""
    wanted = "\n".join(NEEDED)
    own = place / "psycopg"
    done = own / "pins"
    if done.exists() and done.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", own / "python"], check=True)
    subprocess.run([own / "python/bin/pip", "--quiet", "install", *NEEDED], check=True)
    subprocess.run(["rm", "-rf", own / "source"], check=True)
    clone = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth=1", f"--branch={VERSION}", SOURCE]
    subprocess.run([*clone, own / "source"], check=True)
    # Only its tests: the driver beside them would be found without its compiled parts.
    subprocess.run(["rm", "-rf", *(own / "source" / part for part in ["psycopg", "psycopg_c", "psycopg_pool"])], check=True)
    done.write_text(wanted)


def run(place, login):
    server = {"host": login["PGHOST"], "port": login["PGPORT"], "user": login["PGUSER"], "dbname": login["PGDATABASE"]}
    dsn = " ".join(f"{key}={value}" for key, value in server.items())
    # pytest cuts its lines to the width of the terminal.
    environment = os.environ | {"PSYCOPG_TEST_DSN": dsn, "COLUMNS": "1000"}
    command = [place / "psycopg/python/bin/python", "-m", "pytest", "-q", "--tb=line", "-rA", "-m", MARKS, f"--timeout={TEST_SECONDS_MAX}", "tests"]
    command += [f"--ignore=tests/{path}" for path in LEFT_OUT] + [f"--deselect={test}" for test in FLAPPING]
    output = subprocess.run(command, cwd=place / "psycopg/source", env=environment, capture_output=True, text=True).stdout
    ended, why = {}, {}
    for line in output.splitlines():
        found = re.match(r"(PASSED|FAILED|ERROR) (tests/\S+::.*?)(?: - (.*))?$", line)
        if not found:
            continue
        kind, test, message = found.groups()
        if kind == "PASSED":
            ended.setdefault(test, "passed")
        else:
            ended[test] = "failed"
            why.setdefault(test, message or "")
    return ended, why, output
