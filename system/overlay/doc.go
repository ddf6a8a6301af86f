// Package overlay switches the optional read-only root: a file system in memory
// lies over the card's root, which is then never written, and what must last is on
// a partition of its own.
//
// The work at boot is done by a script in the initramfs, which the package brings
// for every kernel (systemd/overlay). It is steered by small files on the root
// itself, not by the kernel's command line: the firmware's hooks write that anew
// at every kernel update.
//
//	/var/lib/sierpi-overlay/state   the state partition, "PARTUUID=c23d403d-03"
//	/var/lib/sierpi-overlay/places  the folders on it, a line each
//	/var/lib/sierpi-overlay/on      there: the root is only read from the next boot on
//
// Once made, the state partition is used whether the root is read-only or not, so
// that switching back and forth copies nothing and loses nothing.
package overlay
