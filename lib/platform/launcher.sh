#!/bin/sh
# Starts one attempt of one worker, waits for it, and leaves a record of how it ended.
#
# A daemon starts this outside of its own session, itself or through its host, and then forgets it: the launcher outlives
# the daemon, so that no exit is missed while a daemon restarts. launching.ts renders the arguments and documents the two records.
# There is one program on the way to the worker (setsid), because each further one costs a millisecond for every start;
# everything else is built into the shell. Worker data arrives as arguments, environment, a line or a file, and is never evaluated.
#
# What is certain, whenever this process is killed:
#   - One attempt is started once. The claim is created with O_EXCL; who finds it leaves quietly.
#   - A claim without "pid" means that the program has not begun: the child writes its identity before it becomes the
#     program, and only while its launcher lives and the claim is still the file that the launcher created. Whoever
#     finds such a claim with a dead launcher replaces or removes it, and from then on nothing can start from it.
#     The session of a launcher that stood by creates its claim as the last thing, and writes it at once, identity and all.
#   - An exit record appears in one write. Where that fails (a full disk) it is removed and tried again each second.
#
# Variables begin with heald_l_, because a shell hands a variable that it inherited, and then changed, to its children.
#
# The first word says what is wanted. `item END FIELDS` has the words in one argument, each ended by END (launcher-host.ts).
#   start FIELD...                             starts the program that the fields tell of
#   start_with FILE FIELD...                   the same, with variables that stand in a file (launcher-host.ts)
#   pipe PIPE                                  makes a named pipe, which Node cannot
#   standby PIPE EXITS END MARK UMASK BOOT SETSID WORD...  gets ready before it is known what for: that comes in a line (standby.ts)
#   session END MARK UMASK LAUNCHER START WORD...  the child of one that stands by, in a session of its own
#   nothing                                    a sign of life for the host

# The launcher never dies before its program, and hands no signal on: who wants the program ended signals the program.
trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM
umask 027

# Sets heald_l_pid, heald_l_ppid and heald_l_start_time of the calling process, also of a subshell, where $$ would not.
heald_l_read_self() {
  read -r heald_l_line </proc/self/stat
  # The name in parentheses may hold anything, so count from the last one.
  heald_l_pid=${heald_l_line%% *}
  # shellcheck disable=SC2086 # Split into fields on purpose: numbers and one letter.
  set -- ${heald_l_line##*) }
  heald_l_ppid=$2
  heald_l_start_time=${20}
}

# Calls a function with the fields of heald_l_line.
heald_l_with_fields() {
  set -f
  IFS=$heald_l_end
  # shellcheck disable=SC2086 # Split into fields on purpose.
  set -- "$1" $heald_l_line
  unset IFS
  set +f
  "$@"
}

# Waits for the line that says what to start, and sets heald_l_line to it. `read` takes half a microsecond for each byte, so
# what is known beforehand is not in it: either it fills in a form, or words ("$@") stand in it as MARK and a letter. Lines that come
# before it are forms; they are added to the words.
heald_l_read_line() {
  while IFS= read -r heald_l_pieces <&4; do
    case $heald_l_pieces in
      2*) set -- "$@" "${heald_l_pieces#2}" ;;
      1*) heald_l_fill_in "$@" && return 0 ;;
      *) heald_l_put_words "$@" && return 0 ;;
    esac
  done
  exit 0 # The daemon that was to write it has ended.
}

# Sets heald_l_line to the form among "$@" whose number the line begins with, after the 1. In a form stands MARK and a letter
# for each of the five fields that follow the number.
heald_l_fill_in() {
  heald_l_piece=${heald_l_pieces%%"$heald_l_end"*} heald_l_piece=${heald_l_piece#1}
  case $heald_l_piece in '' | *[!0-9]*) exit 64 ;; esac
  # Only a number is evaluated.
  eval "heald_l_form=\${$heald_l_piece}"
  [ -n "$heald_l_form" ] || exit 64
  set -f
  IFS=$heald_l_end
  # shellcheck disable=SC2086 # Split into fields on purpose.
  set -- $heald_l_pieces
  IFS=$heald_l_mark
  heald_l_line=
  for heald_l_piece in $heald_l_form; do
    case $heald_l_piece in
      a*) heald_l_word=$2 ;;
      b*) heald_l_word=$3 ;;
      c*) heald_l_word=$4 ;;
      d*) heald_l_word=$5 ;;
      e*) heald_l_word=$6 ;;
      *) heald_l_word= ;;
    esac
    heald_l_line=$heald_l_line$heald_l_word${heald_l_piece#?}
  done
  unset IFS
  set +f
}

# Sets heald_l_line to the line with the words ("$@") in it. It begins as after a MARK.
heald_l_put_words() {
  heald_l_line=
  set -f
  IFS=$heald_l_mark
  for heald_l_piece in $heald_l_pieces; do
    case $heald_l_piece in
      a*) heald_l_word=$1 ;;
      b*) heald_l_word=$2 ;;
      c*) heald_l_word=$3 ;;
      d*) heald_l_word=$4 ;;
      e*) heald_l_word=$5 ;;
      f*) heald_l_word=$6 ;;
      g*) heald_l_word=$7 ;;
      h*) heald_l_word=$8 ;;
      i*) heald_l_word=$9 ;;
      j*) heald_l_word=${10} ;;
      k*) heald_l_word=${11} ;;
      l*) heald_l_word=${12} ;;
      m*) heald_l_word=${13} ;;
      n*) heald_l_word=${14} ;;
      o*) heald_l_word=${15} ;;
      p*) heald_l_word=${16} ;;
      q*) heald_l_word=${17} ;;
      r*) heald_l_word=${18} ;;
      s*) heald_l_word=${19} ;;
      t*) heald_l_word=${20} ;;
      u*) heald_l_word=${21} ;;
      v*) heald_l_word=${22} ;;
      *) heald_l_word= ;;
    esac
    heald_l_line=$heald_l_line$heald_l_word${heald_l_piece#?}
  done
  unset IFS
  set +f
}

# Sets heald_l_boot_ms (since boot, suspends included), heald_l_at_ms and heald_l_at (UTC), 10 ms exact.
# A wall clock that was stepped after the start is not seen here: boot_ms and the record's own mtime are.
heald_l_read_clock() {
  read -r heald_l_line </proc/uptime
  heald_l_line=${heald_l_line%% *}
  heald_l_cs=${heald_l_line#*.}
  heald_l_boot_ms=$((${heald_l_line%.*} * 1000 + ${heald_l_cs#0} * 10))
  heald_l_at_ms=$((heald_l_boot_at_ms + heald_l_boot_ms))
  heald_l_s=$((heald_l_at_ms / 1000))
  # Days to a civil date, https://howardhinnant.github.io/date_algorithms.html#civil_from_days
  heald_l_days=$((heald_l_s / 86400 + 719468)) heald_l_s=$((heald_l_s % 86400))
  heald_l_doe=$((heald_l_days % 146097))
  heald_l_yoe=$(((heald_l_doe - heald_l_doe / 1460 + heald_l_doe / 36524 - heald_l_doe / 146096) / 365))
  heald_l_doy=$((heald_l_doe - (365 * heald_l_yoe + heald_l_yoe / 4 - heald_l_yoe / 100)))
  heald_l_mp=$(((5 * heald_l_doy + 2) / 153))
  heald_l_m=$((heald_l_mp < 10 ? heald_l_mp + 3 : heald_l_mp - 9))
  heald_l_y=$((heald_l_yoe + heald_l_days / 146097 * 400 + (heald_l_m <= 2)))
  heald_l_d=$((heald_l_doy - (153 * heald_l_mp + 2) / 5 + 1))
}

# Sets heald_l_clock to the members of the clock that was read; $1 names them ("started" or "ended").
heald_l_write_clock() {
  # 100 is added and its 1 dropped again: two digits without a subshell, which would cost a fork.
  heald_l_m=$((heald_l_m + 100)) heald_l_d=$((heald_l_d + 100))
  heald_l_h=$((heald_l_s / 3600 + 100)) heald_l_min=$((heald_l_s / 60 % 60 + 100)) heald_l_s=$((heald_l_s % 60 + 100))
  heald_l_clock="${heald_l_y}-${heald_l_m#1}-${heald_l_d#1}T${heald_l_h#1}:${heald_l_min#1}:${heald_l_s#1}Z"
  heald_l_clock="\"$1_at\":\"$heald_l_clock\",\"$1_at_ms\":$heald_l_at_ms,\"$1_boot_ms\":$heald_l_boot_ms"
}

# Adds a line to the attempt's log: the launcher has no other place to speak.
heald_l_say() {
  { printf 'heald launcher: %s\n' "$1" >>"$heald_l_log"; } 2>/dev/null
}

# Creates the claim exclusively and keeps it open as descriptor 3, so that all that follows means this very file.
# Its first line has room for what is not known yet; the whole is one JSON object at any time.
heald_l_create_claim() {
  set -C
  if ! command exec 3>"$heald_l_claim"; then
    [ -e "$heald_l_claim" ] && exit 0
    heald_l_say "cannot create the claim $heald_l_claim"
    exit 73
  fi
  set +C
} 2>/dev/null

# Gives the attempt back for another start, as on a full disk. Nothing has begun.
heald_l_give_back() {
  [ "$heald_l_claim" -ef /proc/self/fd/3 ] && command -p rm -f -- "$heald_l_claim"
  exit 73
}

# Says in the claim whose it is, before there is a program.
heald_l_claim_attempt() {
  heald_l_read_self
  heald_l_launcher=$heald_l_pid
  printf '{%-270s\n%s,"launcher_pid":%d,"launcher_start_time":%d}\n' '' \
    "$heald_l_static" "$heald_l_pid" "$heald_l_start_time" >&3 || heald_l_give_back
} 2>/dev/null

# The same for one that stood by: its session's first process creates the claim, and writes all of it in one go.
heald_l_claim_started() {
  heald_l_write_clock started
  printf '{"pid":%d,"start_time":%d,"launcher_pid":%d,\n"launcher_start_time":%d,%s,"memory_limit_enforced_by":%s,"has_log":%s,\n%s}\n' \
    "$heald_l_pid" "$heald_l_start_time" "$heald_l_launcher" "$heald_l_launcher_start" \
    "$heald_l_clock" "$heald_l_limited" "$heald_l_has_log" "$heald_l_static" >&3 || heald_l_give_back
  # Whoever took the claim for a dead one's has removed it before it was whole.
  [ "$heald_l_claim" -ef /proc/self/fd/3 ] || exit 75
} 2>/dev/null

# Joins the memory cgroup before there is a program, so that not one page escapes the limit.
# Where the kernel refuses, the record says so and the monitor measures instead.
heald_l_join() {
  [ -n "$heald_l_procs" ] || return 0
  { printf '0' >"$heald_l_procs"; } 2>/dev/null && return 0
  heald_l_limited='"sampling"'
  heald_l_say "cannot join $heald_l_procs: the memory limit is watched, not enforced"
}

# Sends the program's words to the log, for which a missing folder is made. Without a log a program still runs.
heald_l_open_log() {
  heald_l_has_log=true
  { command exec >>"$heald_l_log" 2>&1; } && return 0
  command -p mkdir -p -- "${heald_l_log%/*}"
  { command exec >>"$heald_l_log" 2>&1; } && return 0
  heald_l_has_log=false
  exec >/dev/null 2>&1
}

# A negative value protects a daemon from the kernel's choice of victim; its workers do not inherit that.
heald_l_lose_protection() {
  read -r heald_l_line </proc/self/oom_score_adj
  case $heald_l_line in -*) printf '0' >/proc/self/oom_score_adj ;; esac
}

# Runs in the child: says in the claim who it is, while its launcher lives and the claim is its own.
heald_l_identify() {
  heald_l_open_log
  heald_l_join
  heald_l_lose_protection
  heald_l_read_self
  heald_l_read_clock
  [ "$heald_l_ppid" = "$heald_l_launcher" ] && [ "$heald_l_claim" -ef /proc/self/fd/3 ] || exit 75
  # One write at offset 0, as long as the line that it replaces: a reader sees the one or the other.
  heald_l_write_clock started
  heald_l_line="\"memory_limit_enforced_by\":$heald_l_limited,\"has_log\":$heald_l_has_log,"
  # The launcher reads the pid back byte by byte, so it stands on a line of its own.
  heald_l_line="\"pid\":$heald_l_pid,\"start_time\":$heald_l_start_time,
$heald_l_clock,$heald_l_line"
  printf '{%-270s\n' "$heald_l_line" 1<>/proc/self/fd/3 || exit 73
}

heald_l_export() {
  for heald_l_line; do export "$heald_l_line"; done
}

# Becomes the program, through the words before it, if any.
heald_l_become() {
  while [ "$heald_l_variables" -gt 0 ]; do
    export "$1"
    shift
    heald_l_variables=$((heald_l_variables - 1))
  done
  HEALD_PID=$heald_l_pid
  export HEALD_PID
  cd -- "$heald_l_cwd" || exit 126
  unset OLDPWD
  umask "$heald_l_umask"
  trap - HUP INT QUIT USR1 USR2 PIPE ALRM TERM
  [ -z "$heald_l_nice" ] || set -- nice -n "$heald_l_nice" "$@"
  # setsid does not fork here, since this child leads no group: the pid stays.
  [ -z "$heald_l_setsid" ] || exec 3>&- "$heald_l_setsid" -- "$@"
  exec 3>&- 4<&- "$@"
}

# Sets heald_l_oom to the kernel's count of kills in the worker's cgroup (fresh for each attempt), else to nothing.
heald_l_count_oom() {
  heald_l_oom=''
  [ -r "$heald_l_counters" ] || return 0
  while read -r heald_l_name heald_l_line; do
    [ "$heald_l_name" = oom_kill ] && heald_l_oom=",\"memory\":{\"oom_kill\":$heald_l_line}"
  done <"$heald_l_counters"
}

# Sets heald_l_ending: how it ended, as far as a shell can know, which cannot tell SIGKILL from `exit 137`.
heald_l_describe() {
  heald_l_ending="\"exit_code\":$1"
  [ "$1" -gt 128 ] || return 0
  case $(($1 - 128)) in
    1) heald_l_name=HUP ;; 2) heald_l_name=INT ;; 3) heald_l_name=QUIT ;; 4) heald_l_name=ILL ;;
    5) heald_l_name=TRAP ;; 6) heald_l_name=ABRT ;; 7) heald_l_name=BUS ;; 8) heald_l_name=FPE ;;
    9) heald_l_name=KILL ;; 10) heald_l_name=USR1 ;; 11) heald_l_name=SEGV ;; 12) heald_l_name=USR2 ;;
    13) heald_l_name=PIPE ;; 14) heald_l_name=ALRM ;; 15) heald_l_name=TERM ;; 24) heald_l_name=XCPU ;;
    25) heald_l_name=XFSZ ;; 31) heald_l_name=SYS ;; *) return 0 ;;
  esac
  heald_l_ending="$heald_l_ending,\"signal\":\"SIG$heald_l_name\",\"signal_inferred\":true"
}

# Whatever waits for a program has no error output, so that nothing is said where a redirection fails.
heald_l_put_exit() {
  set -C
  printf '{"worker_id":"%s","attempt":%d,"pid":%s,"start_time":%s,"boot_id":"%s",%s,%s%s}\n' \
    "$heald_l_worker" "$heald_l_attempt" "$heald_l_pid" "$heald_l_start_time" "$heald_l_boot_id" \
    "$heald_l_ending" "$heald_l_clock" "$heald_l_oom" >"$heald_l_exit"
}

# Writes the exit record, however long that takes: only a removed coordination directory ends the wait (after a minute).
heald_l_record_exit() {
  [ -e "$heald_l_exit" ] && return 0
  heald_l_orphaned=0
  until heald_l_put_exit; do
    # What stands there is our own empty or torn line: nobody else writes this attempt's record.
    command -p rm -f -- "$heald_l_exit"
    heald_l_folder=${heald_l_exit%/*}
    if [ -d "${heald_l_folder%/*}" ]; then
      [ -d "$heald_l_folder" ] || command -p mkdir -- "$heald_l_folder"
      heald_l_orphaned=0
    else
      heald_l_orphaned=$((heald_l_orphaned + 1))
      [ "$heald_l_orphaned" -le 60 ] || return 1
    fi
    command -p sleep 1
  done
}

# Writes how the program ended, if it ever began: the claim says who it was then. $1 is its status.
heald_l_conclude() {
  heald_l_read_clock
  read -r heald_l_line </proc/self/fd/3
  case $heald_l_line in
    *\"pid\":*)
      heald_l_pid=${heald_l_line#*\"pid\":} heald_l_pid=${heald_l_pid%%,*}
      heald_l_start_time=${heald_l_line#*\"start_time\":} heald_l_start_time=${heald_l_start_time%%,*}
      ;;
    *) exit 75 ;; # Somebody took the claim away before anything began.
  esac
  heald_l_describe_and_record "$1"
}

heald_l_describe_and_record() {
  heald_l_describe "$1"
  heald_l_count_oom
  heald_l_write_clock ended
  heald_l_record_exit
}

# The first fields. $1 is the number of variables among those that come last, $2 the name of both records, <id>.attempt-<n>.
heald_l_take_fields() {
  heald_l_variables=$1
  heald_l_worker=${2%.attempt-*} heald_l_attempt=${2##*.attempt-} heald_l_claim=$3/$2.json heald_l_exit=$4/$2.json
  heald_l_boot_at_ms=$5 heald_l_counters=$6
}

# Those that only whoever becomes the program needs. limited, procs: see heald_l_join · static: JSON members
heald_l_take_more_fields() {
  heald_l_log=$1 heald_l_nice=$2 heald_l_cwd=$3 heald_l_limited=$4 heald_l_procs=$5 heald_l_static=$6
}

# Reads the file before anything is claimed: whoever wrote it removes it when there is a claim.
heald_l_start_with() {
  while IFS= read -r heald_l_line; do
    heald_l_private="$heald_l_private$heald_l_line
"
  done <"$1" || exit 75
  heald_l_private=${heald_l_private%?}
  # Its end is there, so that nothing is missing: the shell takes an error of the disk for the end of a file.
  case $heald_l_private in *"$heald_l_end") ;; *) exit 75 ;; esac
  shift
  heald_l_start "$@"
}

heald_l_start() {
  heald_l_take_fields "$@"
  shift 6
  heald_l_take_more_fields "$@"
  heald_l_umask=$7 heald_l_boot_id=$8 heald_l_setsid=$9
  shift 9
  heald_l_create_claim
  heald_l_claim_attempt
  (
    heald_l_identify
    heald_l_line=$heald_l_private
    heald_l_with_fields heald_l_export
    heald_l_become "$@"
  )
  heald_l_conclude $?
}

heald_l_standby() {
  # Opened for both first, which does not wait for the daemon's end: if the daemon is gone, so is the line that is read.
  [ -p "$1" ] || exit 75
  exec 3<>"$1" 4</proc/self/fd/3 3<&-
  heald_l_exits=$2 heald_l_end=$3 heald_l_mark=$4 heald_l_umask=$5 heald_l_boot_id=$6 heald_l_setsid=$7
  shift 7
  heald_l_read_self
  # In the foreground: what a shell starts in the background can never again be interrupted.
  (
    trap - HUP INT QUIT USR1 USR2 PIPE ALRM TERM
    exec "$heald_l_setsid" -- /bin/sh "$0" session "$heald_l_end" "$heald_l_mark" "$heald_l_umask" \
      "$heald_l_pid" "$heald_l_start_time" "$@"
  )
  heald_l_status=$?
  # What its session has said of itself: nothing if it began nothing. What the daemon says has no such beginning anywhere.
  IFS= read -r heald_l_line <&4 || exit 0
  heald_l_with_fields heald_l_conclude_standby
}

heald_l_conclude_standby() {
  [ "$1" = "${heald_l_mark}BEGAN" ] || exit 75
  heald_l_worker=${2%.attempt-*} heald_l_attempt=${2##*.attempt-} heald_l_exit=$heald_l_exits/$2.json
  heald_l_pid=$3 heald_l_start_time=$4 heald_l_boot_at_ms=$5 heald_l_counters=$6
  heald_l_read_clock
  heald_l_describe_and_record "$heald_l_status"
}

# Tells the launcher of whom it is to write how it ended: the claim is its own by now, and has its identity.
heald_l_say_began() {
  heald_l_line="${heald_l_mark}BEGAN$heald_l_end$heald_l_worker.attempt-$heald_l_attempt$heald_l_end$heald_l_pid$heald_l_end"
  heald_l_line=$heald_l_line$heald_l_start_time$heald_l_end$heald_l_boot_at_ms$heald_l_end$heald_l_counters
  { printf '%s\n' "$heald_l_line" >/proc/self/fd/4; } 2>/dev/null && return 0
  heald_l_say 'cannot tell its launcher that it began: how it ends will not be recorded'
}

heald_l_session() {
  heald_l_end=$1 heald_l_mark=$2 heald_l_umask=$3 heald_l_launcher=$4 heald_l_launcher_start=$5
  heald_l_setsid=
  shift 5
  heald_l_lose_protection
  heald_l_read_self
  [ "$heald_l_ppid" = "$heald_l_launcher" ] || exit 75
  heald_l_read_line "$@"
  heald_l_with_fields heald_l_start_in_session
}

heald_l_start_in_session() {
  heald_l_take_fields "$@"
  shift 6
  heald_l_take_more_fields "$@"
  shift 6
  # Whatever may take its time comes before the claim, which is nearly never seen without what it says.
  heald_l_open_log
  heald_l_join
  heald_l_read_clock
  [ -e "/proc/$heald_l_launcher/exe" ] || exit 75 # Its launcher is gone, reaped or not.
  heald_l_create_claim
  heald_l_claim_started
  heald_l_say_began
  heald_l_become "$@"
}

heald_l_do() {
  heald_l_private= heald_l_wanted=$1
  shift
  case $heald_l_wanted in
    start) heald_l_start "$@" ;;
    start_with) heald_l_start_with "$@" ;;
    pipe) command -p mkfifo -m 600 -- "$1" ;;
    standby) heald_l_standby "$@" ;;
    session) heald_l_session "$@" ;;
    nothing) ;;
    *) exit 64 ;;
  esac
}

if [ "$1" = item ]; then
  exec 2>/dev/null # The host's own error output, on which it tells of its troubles.
  heald_l_end=$2 heald_l_line=$3
  heald_l_with_fields heald_l_do
else
  heald_l_do "$@"
fi
