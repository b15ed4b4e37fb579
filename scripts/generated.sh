#!/usr/bin/env bash
# Fails when generated code is not what `make generate` makes of its sources.
set -euo pipefail
cd "$(dirname "$0")/.."

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT

generated() { find cmd internal -name '*.gen.go' | sort; }

for file in $(generated); do
	mkdir -p "$before/$(dirname "$file")"
	cp "$file" "$before/$file"
done
go generate ./...

stale=0
for file in $(generated); do
	if ! diff -u "$before/$file" "$file"; then
		stale=1
	fi
done
if [ "$stale" = 1 ]; then
	echo "the generated code was not up to date; it is now: commit it" >&2
	exit 1
fi
