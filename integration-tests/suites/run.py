"""asyncpg's own tests, from its source distribution, against Taospg (or whatever listens on a port).

usage: run.py TAOSPG_BINARY TOOLS       as `make suites` does
       run.py --port PORT TOOLS         against a server that is there
       run.py … --record                writes the list of failures anew

`asyncpg.txt` lists the tests that are known to fail, under the reasons. A failure that it does not list fails the run, and so does a
listed test that passes: the list may only shrink.
"""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
LIST = HERE / "asyncpg.txt"
# Longer than any test that passes takes; one that hangs has failed.
TEST_SECONDS_MAX = 10
# Nothing of a server takes part in these.
LEFT_OUT = ["tests/test__sourcecode.py", "tests/test__environment.py", "tests/test_subinterpreters.py"]


def prepare(tools):
    """A Python with the driver and pytest, and the driver's tests, at the pinned version. Returns both paths."""
    place = tools / "suites"
    pins = (HERE / "requirements.txt").read_text()
    done = place / "pins"
    if not done.exists() or done.read_text() != pins:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place / "python"], check=True)
        pip = [place / "python/bin/pip", "--quiet"]
        subprocess.run([*pip, "install", "--requirement", HERE / "requirements.txt"], check=True)
        driver = next(line for line in pins.splitlines() if line.startswith("asyncpg=="))
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, driver], check=True)
            archive = next(pathlib.Path(folder).glob("*.tar.gz"))
            place.joinpath("asyncpg").mkdir(exist_ok=True)
            # Only its tests: the driver beside them would be found without its compiled parts.
            subprocess.run(["tar", "-xzf", archive, "-C", place / "asyncpg", "--strip-components=1", "--wildcards", "*/tests"], check=True)
        done.write_text(pins)
    return place / "python/bin/python", place / "asyncpg"


def listed():
    """Test -> reason."""
    known, reason = {}, ""
    for line in LIST.read_text().splitlines() if LIST.exists() else []:
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            known[line.strip()] = reason
    return known


def run(python, tests, port):
    """Runs them all; returns how each ended, and the first line of each failure."""
    login = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
    # pytest cuts its lines to the width of the terminal.
    environment = os.environ | login | {"COLUMNS": "1000"}
    command = [python, "-m", "pytest", "-q", "--tb=line", "-rA", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS_MAX}", "tests"]
    command += [f"--ignore={path}" for path in LEFT_OUT]
    output = subprocess.run(command, cwd=tests, env=environment, capture_output=True, text=True).stdout
    ended = {}
    why = {}
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


def judge(ended, why, output):
    known = listed()
    failed = {test for test, end in ended.items() if end == "failed"}
    passed = {test for test, end in ended.items() if end == "passed"}
    new, cured = failed - known.keys(), passed & known.keys()
    for test in sorted(new):
        print(f"fails, and is not listed: {test}: {why[test]}")
    for test in sorted(cured):
        print(f"passes: take it off the list: {test}")
    share = 100 * len(passed) // max(len(passed) + len(failed), 1)
    print(f"asyncpg's own tests: {len(passed)} of {len(passed) + len(failed)} pass, {share} %")
    if not ended:
        print(output)
    return not new and not cured and bool(ended)


def record(ended, why):
    """By what went wrong; the reasons are to be made readable by hand."""
    reasons = collections.defaultdict(list)
    known = listed()
    for test, end in ended.items():
        if end == "failed":
            reasons[known.get(test) or re.sub(r"^(asyncpg\.exceptions\.)?\w+: ", "", why[test])[:200]].append(test)
    blocks = [f"# {reason}\n" + "".join(f"{test}\n" for test in sorted(tests)) for reason, tests in sorted(reasons.items())]
    LIST.write_text("\n".join(blocks))


def serve(binary, folder):
    """Starts the server; returns its process and port."""
    command = [binary, "--data-dir", f"{folder}/data", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(f"{folder}/log", "w"), text=True)
    for line in server.stdout:
        if line.startswith("listening on "):
            return server, int(line.rsplit(":", 1)[1])
    raise SystemExit(pathlib.Path(folder, "log").read_text())


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--record"]
    python, tests = prepare(pathlib.Path(arguments[-1]).resolve())
    if arguments[0] == "--port":
        ended, why, output = run(python, tests, int(arguments[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            server, port = serve(arguments[0], folder)
            try:
                ended, why, output = run(python, tests, port)
            finally:
                server.kill()
                server.wait()
    if "--record" in sys.argv:
        record(ended, why)
    raise SystemExit(not judge(ended, why, output))


main()
