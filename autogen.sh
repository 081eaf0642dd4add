#!/bin/sh
# Makes ./configure. Needs autoconf and automake.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force --warnings=all
