"""Drivers' own tests, as their distributions carry them, against Taospg (or whatever listens on a port).

usage: run.py TAOSPG_BINARY TOOLS [SUITE…]       as `make suites` does
       run.py --port PORT TOOLS [SUITE…]         against a server that is there
       run.py … --record                         writes the lists of failures anew

For each suite a list beside this file names the tests that are known to fail, under the reasons. A failure that it does not list fails the
run, and so does a listed test that passes: the lists may only shrink.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile

# No caches beside the sources.
sys.dont_write_bytecode = True
import asyncpg_suite
import pq_suite
import psycopg_suite

HERE = pathlib.Path(__file__).parent
# Each has a name, `missing` (a runtime that this machine lacks, or None), `prepare(place)` and `run(place, login)`: how each test ended
# ("passed" or "failed"), the first line of each failure, and all output.
SUITES = {"asyncpg": asyncpg_suite, "pq": pq_suite, "psycopg": psycopg_suite}


def list_of(name):
    return HERE / f"{name}.txt"


def listed(name):
    """Test -> reason."""
    known, reason = {}, ""
    for line in list_of(name).read_text().splitlines() if list_of(name).exists() else []:
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            known[line.strip()] = reason
    return known


def judge(name, ended, why, output):
    known = listed(name)
    failed = {test for test, end in ended.items() if end == "failed"}
    passed = {test for test, end in ended.items() if end == "passed"}
    new, cured = failed - known.keys(), passed & known.keys()
    for test in sorted(new):
        print(f"fails, and is not listed: {test}: {why.get(test, '')}")
    for test in sorted(cured):
        print(f"passes: take it off the list: {test}")
    share = 100 * len(passed) // max(len(passed) + len(failed), 1)
    print(f"{SUITES[name].TITLE}: {len(passed)} of {len(passed) + len(failed)} pass, {share} %")
    if not ended:
        print(output)
    return not new and not cured and bool(ended)


def record(name, ended, why):
    """By what went wrong; the reasons are to be made readable by hand."""
    reasons = collections.defaultdict(list)
    known = listed(name)
    for test, end in ended.items():
        if end == "failed":
            reason = re.sub(r"^(asyncpg\.exceptions\.)?\w+: ", "", why.get(test) or "it fails")
            reasons[known.get(test) or reason[:200]].append(test)
    blocks = [f"# {reason}\n" + "".join(f"{test}\n" for test in sorted(tests)) for reason, tests in sorted(reasons.items())]
    list_of(name).write_text("\n".join(blocks))


def serve(binary, folder):
    """Starts the server; returns its process and port."""
    command = [binary, "--data-dir", f"{folder}/data", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(f"{folder}/log", "w"), text=True)
    for line in server.stdout:
        if line.startswith("listening on "):
            return server, int(line.rsplit(":", 1)[1])
    raise SystemExit(pathlib.Path(folder, "log").read_text())


def run(name, place, binary, port):
    """Runs one suite, against a server of its own unless there is a port."""
    login = {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGDATABASE": "postgres", "PGSSLMODE": "disable"}
    if port:
        return SUITES[name].run(place, login | {"PGPORT": port})
    with tempfile.TemporaryDirectory() as folder:
        server, port = serve(binary, folder)
        try:
            return SUITES[name].run(place, login | {"PGPORT": str(port)})
        finally:
            server.kill()
            server.wait()


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--record"]
    binary, port = (None, arguments.pop(1)) if arguments[0] == "--port" else (arguments[0], None)
    tools = pathlib.Path(arguments[1]).resolve() / "suites"
    right = True
    for name in arguments[2:] or SUITES:
        missing = SUITES[name].missing()
        if missing:
            print(f"{SUITES[name].TITLE}: left out: there is no {missing}")
            continue
        SUITES[name].prepare(tools)
        ended, why, output = run(name, tools, binary, port)
        if "--record" in sys.argv:
            record(name, ended, why)
        right &= judge(name, ended, why, output)
    raise SystemExit(not right)


main()
