#!/bin/sh
# The operator's own program: keeps a note. Any text will do, so its line in allowed-commands.json allows any.
printf '%s arguments: %s\n' "$#" "$*" >>"$HEALD_HOME/write-note.calls"
