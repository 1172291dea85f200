"""asyncpg's own tests, from its source distribution."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

TITLE = "asyncpg's own tests"
PINS = pathlib.Path(__file__).parent / "requirements.txt"
# Longer than any test that passes takes; one that hangs has failed.
TEST_SECONDS_MAX = 10
# Nothing of a server takes part in these.
LEFT_OUT = ["tests/test__sourcecode.py", "tests/test__environment.py", "tests/test_subinterpreters.py"]

# asyncpg's connections lose a race with their own end now and then, with PostgreSQL as often.
FLAPPING = ["tests/test_pool.py::TestPool::test_pool_config_persistence"]


def missing():
    return None


def prepare(place):
    """A Python with the driver and pytest, and the driver's tests, at the pinned version."""
    pins = PINS.read_text()
    done = place / "pins"
    if done.exists() and done.read_text() == pins:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", place / "python"], check=True)
    pip = [place / "python/bin/pip", "--quiet"]
    subprocess.run([*pip, "install", "--requirement", PINS], check=True)
    driver = next(line for line in pins.splitlines() if line.startswith("asyncpg=="))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, driver], check=True)
        archive = next(pathlib.Path(folder).glob("*.tar.gz"))
        place.joinpath("asyncpg").mkdir(exist_ok=True)
        # Only its tests: the driver beside them would be found without its compiled parts.
        subprocess.run(["tar", "-xzf", archive, "-C", place / "asyncpg", "--strip-components=1", "--wildcards", "*/tests"], check=True)
    done.write_text(pins)


def run(place, login):
    # pytest cuts its lines to the width of the terminal.
    environment = os.environ | login | {"COLUMNS": "1000"}
    # The tests set the mode of encryption themselves.
    environment.pop("PGSSLMODE")
    command = [place / "python/bin/python", "-m", "pytest", "-q", "--tb=line", "-rA", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS_MAX}", "tests"]
    command += [f"--ignore={path}" for path in LEFT_OUT] + [f"--deselect={test}" for test in FLAPPING]
    output = subprocess.run(command, cwd=place / "asyncpg", env=environment, capture_output=True, text=True).stdout
    ended, why = {}, {}
    for line in output.splitlines():
        found = re.match(r"(PASSED|FAILED|ERROR|SUBFAILED\S*|SKIPPED) (?:\[[^]]*\] )?(tests/\S+)(?: - (.*))?", line)
        if not found:
            continue
        kind, test, message = found.groups()
        if kind == "PASSED":
            ended.setdefault(test, "passed")
        elif kind != "SKIPPED":
            ended[test] = "failed"
            why.setdefault(test, message or "")
    return ended, why, output
