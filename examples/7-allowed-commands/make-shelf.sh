#!/bin/sh
# The operator's own program: makes a shelf. Writes down what it was given, one argument a line.
for argument in "$@"; do printf '%s\n' "$argument"; done >>"$HEALD_HOME/make-shelf.calls"
mkdir -p "$HEALD_HOME/shelves/$1"
