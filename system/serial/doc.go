// Package serial plans and applies the login on the serial line: the kernel's
// console, the firmware's or boot loader's settings, and the getty.
//
// Files are edited so that every byte which is not ours stays; what was there
// before stands beside each in FILE.sierpi-backup, and what was changed in
// serial.json in the state folder. Off takes away exactly that: the very bytes
// where nobody touched the file since, else the tokens and lines that Apply put
// there.
//
// Known are cmdline.txt and config.txt of the Raspberry Pi's firmware, GRUB 2
// (/etc/default/grub, then update-grub), GRUB legacy (grub.conf, menu.lst) with
// /etc/securetty, /etc/inittab, and systemd's serial-getty@ over D-Bus.
//
// Errors are *system.Error: 2 config, 3 no such UART on this machine.
package serial
