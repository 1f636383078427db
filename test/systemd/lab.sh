#!/usr/bin/env bash
# A real systemd for tests: this machine's own, as the first process of namespaces of its own.
#
#   lab.sh boot             starts it and prints the pid of its first process
#   lab.sh run PROGRAM ARG… runs a program inside, as root, and ends as it ends
#   lab.sh off              ends it and all that runs in it; nothing is left behind
#
# HEALD_LAB is its folder: it must not be below /tmp, /run, /dev, /proc or /sys. What is in HEALD_LAB/shared is the same
# inside and outside, and the project is in /opt/heald, wherever it is outside; everything else inside is a copy of the
# host's files that is thrown away, memory is all it takes.
# HEALD_LAB_SECONDS: after so many seconds it ends by itself, whatever becomes of the test (600).
#
# Needs root, overlay and tmpfs, cgroups (v1 or v2), unshare and nsenter of util-linux, and systemd.
set -euo pipefail

lab=${HEALD_LAB:?names no folder}
shared=$lab/shared
init_file=$lab/init
group=heald-lab-$(basename "$lab")
systemd=/lib/systemd/systemd
project=$(realpath "$(dirname "$0")/../..")

fail() {
  echo "lab.sh: $*" >&2
  exit 1
}

case $(realpath -m "$lab")/ in
/tmp/* | /run/* | /dev/* | /proc/* | /sys/* | //) fail "the lab cannot be in $lab: a booting systemd cleans up there" ;;
esac

# Field 22 of stat, behind the name in parentheses: a pid alone may be another process by now.
born() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  set -- $stat
  [ "$1" != Z ] && echo "${20}"
}

# The pid of the lab's first process, while it is that very process.
first_process() {
  local pid birth
  read -r pid birth 2>/dev/null <"$init_file" || return 1
  [ "$(born "$pid")" = "$birth" ] && echo "$pid"
}

hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts; }

# A group can be removed once the last of its processes is reaped.
remove_groups() {
  local each
  for each in $(hierarchies); do
    for _ in $(seq 40); do
      [ -d "$each/$group" ] || break
      find "$each/$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    done
  done
}

# A group of the lab's own in every hierarchy; the namespace that is made in it takes it for the root.
join_groups() {
  local each file
  for each in $(hierarchies); do
    mkdir -p "$each/$group"
    for file in cpuset.cpus cpuset.mems; do
      [ ! -e "$each/$group/$file" ] || cat "$each/$file" >"$each/$group/$file" 2>/dev/null || true
    done
    echo "$BASHPID" >"$each/$group/cgroup.procs" 2>/dev/null || true
  done
}

mount_groups() { # under the new root $1
  local target=$1/sys/fs/cgroup path options
  if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 "$target"
    return
  fi
  mount -t tmpfs -o mode=755 cgroup "$target"
  awk '$3 == "cgroup" { print $2, $4 }' /proc/self/mounts | while read -r path options; do
    # Of the mount's options only the controllers, which are none of these words.
    options=$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|nosuid|nodev|noexec|relatime' | paste -sd,)
    mkdir -p "$1$path"
    mount -t cgroup -o "$options" cgroup "$1$path"
  done
  mkdir -p "$target/unified"
  mount -t cgroup2 cgroup2 "$target/unified"
}

make_devices() { # in $1
  local each
  mount -t tmpfs -o mode=755 dev "$1"
  for each in null zero full random urandom tty; do
    touch "$1/$each"
    mount --bind "/dev/$each" "$1/$each"
  done
  ln -s /proc/self/fd "$1/fd"
  mkdir "$1/shm" "$1/pts"
  mount -t tmpfs shm "$1/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/pts"
  ln -s pts/ptmx "$1/ptmx"
}

# Only what a service needs comes up: nothing that the host has enabled, nothing that looks for hardware.
configure() { # the units in $1
  local each
  mkdir -p "$1"
  rm -rf "$1"/*.wants "$1"/*.requires
  printf '%s\n' '[Unit]' 'Description=heald lab' 'Requires=basic.target' 'After=basic.target' >"$1/heald-lab.target"
  for each in dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    proc-sys-fs-binfmt_misc.automount systemd-firstboot.service systemd-hwdb-update.service systemd-logind.service \
    systemd-modules-load.service systemd-networkd.service systemd-remount-fs.service systemd-resolved.service \
    systemd-sysctl.service systemd-timesyncd.service systemd-tmpfiles-clean.timer systemd-udev-trigger.service \
    systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket; do
    ln -sf /dev/null "$1/$each"
  done
}

# Runs as the first process of the new namespaces, and becomes systemd.
inside() {
  local root=$lab/memory/root outer
  mount --make-rprivate /
  # /proc is still the host's, so this is the pid outside.
  read -r outer _ </proc/self/stat
  mkdir -p "$lab/memory"
  mount -t tmpfs -o mode=755 heald-lab "$lab/memory"
  mkdir "$lab/memory/upper" "$lab/memory/work" "$root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$lab/memory/upper,workdir=$lab/memory/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
  mount -t tmpfs -o mode=755 run "$root/run"
  mount -t tmpfs -o mode=1777 tmp "$root/tmp"
  make_devices "$root/dev"
  mount_groups "$root"
  mkdir -p "$root$shared"
  mount --bind "$shared" "$root$shared"
  mkdir -p "$root/opt/heald"
  mount --bind "$project" "$root/opt/heald"
  configure "$root/etc/systemd/system"
  echo "$outer $(born "$outer")" >"$init_file.new"
  mv "$init_file.new" "$init_file"
  mkdir "$root/.host"
  cd "$root"
  pivot_root . .host
  umount -l /.host
  exec env -i container=heald-lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$systemd" --system --unit=heald-lab.target --log-target=journal --show-status=0 </dev/null
}

boot() {
  local self
  [ "$(id -u)" = 0 ] || fail "only root can make the namespaces"
  [ -x "$systemd" ] || fail "there is no $systemd"
  first_process && return
  self=$(realpath "$0")
  mkdir -p "$shared"
  rm -f "$init_file"
  remove_groups
  (
    join_groups
    exec setsid timeout -k 2 "${HEALD_LAB_SECONDS:-600}" \
      unshare --pid --fork --kill-child --mount --cgroup --uts --ipc "$self" inside
  ) </dev/null >"$lab/log" 2>&1 &
  for _ in $(seq 300); do
    sleep 0.05
    [ "$("$self" run systemctl is-active heald-lab.target 2>/dev/null)" != active ] || break
    kill -0 $! 2>/dev/null || fail "systemd has ended: $(tail -n 3 "$lab/log")"
  done
  first_process || fail "systemd is not up after 15 s: $(tail -n 3 "$lab/log")"
}

run() {
  local pid
  pid=$(first_process) || fail "it does not run"
  [ "$(cat "/proc/$pid/comm")" = systemd ] || fail "it is still starting"
  exec nsenter -t "$pid" --mount --pid --uts --ipc --cgroup --root --wd -- env -i HOME=/root LANG=C.UTF-8 \
    SYSTEMD_COLORS=0 SYSTEMD_PAGER= PATH="$PATH" "$@"
}

off() {
  local pid
  if pid=$(first_process); then
    # The first process of a pid namespace takes all others with it.
    kill -KILL "$pid"
    for _ in $(seq 100); do
      first_process >/dev/null || break
      sleep 0.05
    done
    ! first_process >/dev/null || fail "it does not end"
  fi
  remove_groups
  rm -f "$init_file" "$lab/log"
  rmdir "$lab/memory" 2>/dev/null || true
}

case ${1:-} in
boot) boot ;;
run) shift && run "$@" ;;
off) off ;;
inside) [ $$ = 1 ] && inside ;;
*) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' && exit 2 ;;
esac
