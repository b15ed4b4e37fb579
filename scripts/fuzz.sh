#!/usr/bin/env bash
# Runs every fuzz target for a short while (FUZZTIME, 20000x), each after the
# other. A number of runs and not a time: with a time the go command now and then
# reports its own deadline as a failure of the target ("context deadline
# exceeded").
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-20000x}
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
