"""The tests of lib/pq, the Go driver, from its module."""

import json
import os
import pathlib
import shutil
import subprocess

TITLE = "lib/pq's own tests"
# The version that the drivers' tests use, too.
MODULES = pathlib.Path(__file__).parent.parent / "drivers/go/go.mod"
MODULE = "github.com/lib/pq"
SECONDS_MAX = 300
# It takes the rows of a UNION for ordered.
FLAPPING = "^TestNullAfterNonNull$"


def missing():
    return None if shutil.which("go") else "go"


def prepare(place):
    """A copy of the module that its tests may write into."""
    version = next(line.split()[1] for line in MODULES.read_text().splitlines() if line.strip().startswith(MODULE))
    own, done = place / "pq", place / "pq.version"
    if done.exists() and done.read_text() == version:
        return
    shutil.rmtree(own, ignore_errors=True)
    command = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=MODULES.parent)
    # Modules are kept where nobody may write.
    shutil.copytree(json.loads(told.stdout)["Dir"], own, copy_function=shutil.copyfile)
    for folder in [own, *(path for path in own.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    done.write_text(version)


def run(place, login):
    command = ["go", "test", "-json", "-count=1", f"-timeout={SECONDS_MAX}s", "-skip", FLAPPING, "."]
    output = subprocess.run(command, cwd=place / "pq", env=os.environ | login, capture_output=True, text=True).stdout
    ended, why = {}, {}
    for line in output.splitlines():
        event = json.loads(line)
        # The parts of a test are judged with it.
        test = event.get("Test", "").split("/")[0]
        if not test:
            continue
        if event["Action"] in ("pass", "fail") and event["Test"] == test:
            ended[test] = "passed" if event["Action"] == "pass" else "failed"
        if event["Action"] == "output" and "_test.go:" in event["Output"]:
            why.setdefault(test, event["Output"].strip())
    return ended, why, output
