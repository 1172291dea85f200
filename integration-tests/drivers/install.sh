#!/usr/bin/env bash
# install.sh DIRECTORY: puts the drivers under test there, at the versions pinned beside this file; does nothing for a language whose
# pins have not changed. A language whose runtime this machine lacks is left out, and said so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$1
mkdir -p "$tools"

# changed LANGUAGE FILES…: whether these files are other ones than those that the language was installed from
changed() {
    pins=$(cat "${@:2}" | cksum)
    [ "$(cat "$tools/$1.pins" 2>/dev/null)" != "$pins" ]
}

# needs LANGUAGE COMMAND…
needs() {
    for command in "${@:2}"; do
        command -v "$command" >/dev/null || { echo "drivers in $1 are left out: there is no $command" >&2; return 1; }
    done
}

done_with() {
    echo "$pins" > "$tools/$1.pins"
}

if needs python python3 && changed python "$here/python/requirements.txt"; then
    python3 -m venv --clear "$tools/python"
    "$tools/python/bin/pip" install --quiet --requirement "$here/python/requirements.txt"
    done_with python
fi

if needs node node npm && changed node "$here/node/package.json"; then
    mkdir -p "$tools/node"
    cp "$here/node/package.json" "$tools/node/"
    (cd "$tools/node" && npm install --no-package-lock --no-audit --no-fund --silent)
    done_with node
fi

if needs java java javac curl && changed java "$here/java/jars.txt" "$here/java/RunJdbc.java"; then
    rm -rf "$tools/java" && mkdir -p "$tools/java"
    while read -r jar; do
        curl --silent --show-error --fail --output "$tools/java/${jar##*/}" "https://repo1.maven.org/maven2/$jar"
    done < "$here/java/jars.txt"
    javac -cp "$tools/java/*" -d "$tools/java" "$here/java/RunJdbc.java"
    done_with java
fi

if needs go go && changed go "$here"/go/*; then
    (cd "$here/go" && go build -o "$tools/go/runner" .)
    done_with go
fi

if needs tsbs go && changed tsbs "$here/tsbs/go.mod"; then
    mkdir -p "$tools/tsbs"
    cp "$here/tsbs/go.mod" "$tools/tsbs/"
    for program in tsbs_generate_data tsbs_load_timescaledb tsbs_generate_queries tsbs_run_queries_timescaledb; do
        (cd "$tools/tsbs" && go build -mod=mod -o "$program" "github.com/timescale/tsbs/cmd/$program")
    done
    done_with tsbs
fi

if needs rust cargo && changed rust "$here"/rust/Cargo.* "$here"/rust/src/*; then
    (cd "$here/rust" && CARGO_TARGET_DIR="$tools/rust" cargo build --release --quiet --locked)
    done_with rust
fi
