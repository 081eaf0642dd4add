#!/bin/sh
# Runs each fuzz target once over the data of the tests: they must survive what the tests know already.
# Usage: test-fuzz-inputs.sh, in the build folder, with srcdir in the environment.
set -eu
srcdir=${srcdir:-.}

./tests/fuzz/fuzz-burnt "$srcdir"/tests/burnt/*
./tests/fuzz/fuzz-key "$srcdir"/tests/keys/*
./tests/fuzz/fuzz-spa "$srcdir"/tests/spa/*
./tests/fuzz/fuzz-config "$srcdir"/tests/config/*.conf
./tests/fuzz/fuzz-one-time "$srcdir"/tests/one-time/*
./tests/fuzz/fuzz-format "$srcdir"/tests/records/*.records
./tests/fuzz/fuzz-fleet "$srcdir"/tests/fleet/*
./tests/fuzz/fuzz-framing "$srcdir"/tests/framing/*
./tests/fuzz/fuzz-profile "$srcdir"/tests/profiles/*.hosts
./tests/fuzz/fuzz-import "$srcdir"/tests/import/*
./tests/fuzz/fuzz-ruleset "$srcdir"/tests/rulesets/*
./tests/fuzz/fuzz-text "$srcdir"/tests/text/*.txt
