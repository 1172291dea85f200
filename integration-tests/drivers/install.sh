#!/usr/bin/env bash
# install.sh DIRECTORY: puts the drivers under test there, at the versions pinned beside this file; does nothing when they are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$1
mkdir -p "$tools"
pins=$(cat "$here/python/requirements.txt" "$here/node/package.json" | cksum)
[ "$(cat "$tools/pins" 2>/dev/null)" = "$pins" ] && exit 0

python3 -m venv --clear "$tools/python"
"$tools/python/bin/pip" install --quiet --requirement "$here/python/requirements.txt"

mkdir -p "$tools/node"
cp "$here/node/package.json" "$tools/node/"
(cd "$tools/node" && npm install --no-package-lock --no-audit --no-fund --silent)

echo "$pins" > "$tools/pins"
