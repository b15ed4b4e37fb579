#!/usr/bin/env bash
# Runs every fuzz target for a short time (FUZZTIME, 5s), each after the other.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-5s}
count=0
while IFS=: read -r file line; do
	name=${line#func }
	name=${name%%(*}
	echo "fuzz: $name ($(dirname "$file")) for $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -timeout 10m "./$(dirname "$file")" </dev/null
	count=$((count + 1))
done < <(grep -rHE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' cmd internal | sort)

if [ "$count" = 0 ]; then
	echo "fuzz: there is no fuzz target" >&2
	exit 1
fi
echo "fuzz: $count targets"
