# Sourced by the scripts beside it: finds the compiled package and becomes one of its programs.
# The caller is the project's scripts/… file itself, also through a symbolic link to it.

heald_root=$(dirname -- "$(readlink -f -- "$0")")
while [ "$heald_root" != / ] && ! [ -f "$heald_root/package.json" ]; do heald_root=$(dirname -- "$heald_root"); done

heald_require() {
  command -v node >/dev/null || {
    echo "heald: node (20.19 or newer) is not in PATH" >&2
    exit 78
  }
  [ -f "$heald_root/dist/$1" ] || {
    echo "heald: $heald_root/dist/$1 is not there; run: npm ci && npm run build" >&2
    exit 78
  }
}

# heald_run_daemon NAME PID_FILE [OPTION…]: a --pid-file among the options wins.
heald_run_daemon() {
  heald_require "daemons/$1/main.js"
  heald_main="$heald_root/dist/daemons/$1/main.js" heald_pid_file=$2
  shift 2
  for heald_option in "$@"; do
    case $heald_option in --pid-file | --pid-file=*) exec node "$heald_main" "$@" ;; esac
  done
  exec node "$heald_main" --pid-file "$heald_pid_file" "$@"
}

# heald_run SUBCOMMAND [ARGUMENT…]
heald_run() {
  heald_require cli/main.js
  exec node "$heald_root/dist/cli/main.js" "$@"
}
