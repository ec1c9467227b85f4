#!/bin/bash
# The first process of the guest: mounts what programs expect, does what the payload is for, and powers off. What is said goes to
# the serial port that the kernel's command line names; lines that begin with "@@" are for the task that started the guest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
on() { mkdir -p "$2" && mount -t "$1" "$1" "$2" ${3:+-o "$3"}; }
on proc /proc; on sysfs /sys; on devtmpfs /dev
on devpts /dev/pts mode=620,ptmxmode=666; on tmpfs /dev/shm
# The root is in memory as it is, and the binaries lie where they were built, perhaps below /tmp.
on tmpfs /run mode=755; mkdir -p /tmp && chmod 1777 /tmp
on securityfs /sys/kernel/security; on tracefs /sys/kernel/tracing; on bpf /sys/fs/bpf mode=700
on cgroup2 /sys/fs/cgroup
voice=/dev/$(sed -n 's/.*voice=\([^ ]*\).*/\1/p' /proc/cmdline)
stty -F "$voice" raw -echo
exec </dev/null >"$voice" 2>&1
hostname guest
busybox ifconfig lo 127.0.0.1 up
[ ! -e /payload/overlay.ko ] || busybox insmod /payload/overlay.ko || echo "overlay cannot be loaded"
cd /payload || exit
echo "@@kernel $(uname -r)"
# shellcheck source=/dev/null
. ./play
echo "@@done"
sleep 0.1
exec busybox poweroff -f
