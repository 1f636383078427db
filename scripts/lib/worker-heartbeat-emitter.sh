#!/bin/sh
# Lets a worker say that it is alive, from any POSIX shell.
#
#   . scripts/lib/worker-heartbeat-emitter.sh
#   emit_heartbeat "$WORKER_ID" "$HEALTH_SCORE" "$PROGRESS" ["what it does now"]
#
# or, for one beat:
#
#   scripts/lib/worker-heartbeat-emitter.sh test-worker 100 50
#
# The health score and the progress are 0 to 100; either may be empty. An empty id means $HEALD_WORKER_ID.
#
# The beat goes to $HEALD_HEARTBEAT_FILE if that is this worker's; else to heartbeats/ below $HEALD_COORDINATION_DIR,
# $HEALD_HOME/coordination, $COMMIT_RELAY_HOME/coordination or ./coordination. A coordination folder is never created.
#
# A failure is one line on standard error and status 1. Under `set -e` the status is 0 all the same: a beat that could
# not be written must not be what ends the worker. Run as a command, it always tells.
#
# Everything happens in a subshell: no variable, option or working directory of yours is touched.
# `pid` is written only from HEALD_PID: what this shell could find out may be a helper and not the worker.

emit_heartbeat() {
  heald_beat "$@" && return 0
  case $- in *e*) return 0 ;; esac
  return 1
}

heald_beat() (
  set +eu
  LC_ALL=C
  export LC_ALL
  umask 027

  fail() {
    printf 'heartbeat: %s\n' "$1" >&2
    exit 1
  }

  # Prints $2 as a JSON number of 0 to 100, or fails; $1 is its name.
  percentage() {
    number=$2
    case $number in '' | *[!0-9.]* | *.*.* | .* | *.) fail "$1 must be a number from 0 to 100, got '$2'" ;; esac
    while :; do
      case $number in 0[0-9]*) number=${number#0} ;; *) break ;; esac
    done
    whole=${number%%.*}
    [ "${#whole}" -le 3 ] && [ "$whole" -le 100 ] || fail "$1 must be a number from 0 to 100, got '$2'"
    case $number in 100.*[!0]*) fail "$1 must be a number from 0 to 100, got '$2'" ;; esac
  }

  # Puts a question mark in rest for each byte that is part of no UTF-8 character, as in a file name in Latin-1: a beat with one
  # is no JSON. tr tells the kinds of bytes apart: a is ASCII, b to d go on with a character, the others but x begin one. Without
  # a tr the text stays as it is.
  mend() {
    kinds=$(printf '%s' "$rest" | tr '\200-\377\001-\177' 'bbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddddddddddddddddddxx222222222222222222222222222222e333333333333g33h444kxxxxxxxxxxxa' 2>/dev/null)
    [ "${#kinds}" -eq "${#rest}" ] || return 0
    mended=''
    while [ -n "$kinds" ]; do
      case $kinds in
        a*) after=${rest#?} kinds=${kinds#?} ;;
        2[b-d]*) after=${rest#??} kinds=${kinds#??} ;;
        ed[b-d]* | 3[b-d][b-d]* | g[bc][b-d]*) after=${rest#???} kinds=${kinds#???} ;;
        h[cd][b-d][b-d]* | 4[b-d][b-d][b-d]* | kb[b-d][b-d]*) after=${rest#????} kinds=${kinds#????} ;;
        *)
          mended="$mended?" rest=${rest#?} kinds=${kinds#?}
          continue
          ;;
      esac
      mended=$mended${rest%"$after"}
      rest=$after
    done
    rest=$mended
  }

  # Sets escaped to $1 as the inside of a JSON string: control characters become spaces, long texts are cut.
  escape() {
    rest=$1
    if [ "${#rest}" -gt 500 ]; then
      rest=$(printf '%.500s' "$rest")
      # A cut may have split a character of several bytes: drop the bytes of it that are left.
      while :; do
        case $rest in *[!\ -~]) rest=${rest%?} ;; *) break ;; esac
      done
    fi
    case $rest in *[![:cntrl:]\ -~]*) mend ;; esac
    escaped=''
    while :; do
      case $rest in *[\"\\[:cntrl:]]*) ;; *) break ;; esac
      before=${rest%%[\"\\[:cntrl:]]*}
      rest=${rest#"$before"}
      case $rest in
        \"*) escaped=$escaped$before'\"' ;;
        \\*) escaped=$escaped$before'\\' ;;
        *) escaped="$escaped$before " ;;
      esac
      rest=${rest#?}
    done
    escaped=$escaped$rest
  }

  worker=${1:-${HEALD_WORKER_ID-}}
  case $worker in
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]* | *.attempt-*) fail "not a worker id: '$worker'" ;;
  esac
  [ "${#worker}" -le 128 ] || fail "a worker id has at most 128 characters, got ${#worker}"

  case ${HEALD_HEARTBEAT_FILE-} in
    */"$worker.json") file=$HEALD_HEARTBEAT_FILE ;;
    *)
      if [ -n "${HEALD_COORDINATION_DIR-}" ]; then
        file=$HEALD_COORDINATION_DIR
      elif [ -n "${HEALD_HOME-}" ]; then
        file=$HEALD_HOME/coordination
      elif [ -n "${COMMIT_RELAY_HOME-}" ]; then
        file=$COMMIT_RELAY_HOME/coordination
      else
        file=./coordination
      fi
      file=$file/heartbeats/$worker.json
      ;;
  esac
  # Never a name that mv would take for an option.
  case $file in /* | ./*) ;; *) file=./$file ;; esac
  folder=${file%/*}
  [ -d "${folder%/*}" ] || fail "no coordination folder at '${folder%/*}'"
  [ -d "$folder" ] || mkdir "$folder" 2>/dev/null || [ -d "$folder" ] || fail "cannot create '$folder'"
  [ -d "$file" ] && fail "'$file' is a folder"

  # The sequence goes on from the last beat, so that it counts for a worker that runs this as a command each time too.
  sequence=0
  if [ -f "$file" ] && [ ! -L "$file" ] && IFS= read -r last 2>/dev/null <"$file"; then
    case $last in
      *'"sequence":'[1-9]*)
        last=${last#*\"sequence\":}
        last=${last%%[!0-9]*}
        [ "${#last}" -le 15 ] && sequence=$last
        ;;
    esac
  fi
  sequence=$((sequence + 1))

  beat="{\"worker_id\":\"$worker\""
  # Another worker's beat, sent from inside a worker, must not carry this one's identity.
  if [ "${HEALD_WORKER_ID:-$worker}" = "$worker" ]; then
    case ${HEALD_ATTEMPT-} in '' | 0* | *[!0-9]*) ;; *) beat="$beat,\"attempt\":$HEALD_ATTEMPT" ;; esac
    case ${HEALD_PID-} in '' | 0* | *[!0-9]*) ;; *) beat="$beat,\"pid\":$HEALD_PID" ;; esac
  fi
  beat="$beat,\"sequence\":$sequence,\"timestamp\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\""
  if [ -n "${2-}" ]; then
    percentage 'the health score' "$2"
    beat="$beat,\"health_score\":$number"
  fi
  if [ -n "${3-}" ]; then
    percentage 'the progress' "$3"
    beat="$beat,\"progress\":$number"
  fi
  if [ -n "${4-}" ]; then
    escape "$4"
    beat="$beat,\"activity\":\"$escaped\""
  fi

  # This subshell's own number, where /proc tells it: two beats of one shell may overlap.
  own=$$
  { IFS= read -r own </proc/self/stat; } 2>/dev/null
  temporary=$folder/.$worker.json.${own%% *}.tmp
  # Exclusively, since the folder may be writable for a group: a link that waits there is not followed.
  set -C
  { printf '%s}\n' "$beat" >"$temporary"; } 2>/dev/null || {
    command rm -f "$temporary"
    { printf '%s}\n' "$beat" >"$temporary"; } 2>/dev/null || {
      command rm -f "$temporary"
      fail "cannot write to '$folder'"
    }
  }
  command mv -f "$temporary" "$file" 2>/dev/null || {
    command rm -f "$temporary"
    fail "cannot replace '$file'"
  }
)

case ${0##*/} in
  worker-heartbeat-emitter.sh)
    [ "$#" -ge 1 ] || {
      printf 'usage: %s <worker-id> [health-score] [progress] [activity]\n' "$0" >&2
      exit 2
    }
    heald_beat "$@"
    ;;
esac
