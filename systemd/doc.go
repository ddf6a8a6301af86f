// Package systemd embeds the units, drop-ins, sysusers, tmpfiles, polkit and udev
// files that the packages install and the tests verify.
package systemd
