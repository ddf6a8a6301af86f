// Package firstboot makes a freshly flashed card this owner's machine: root grown,
// SSH host keys, user, host name, Wi-Fi, locale and time zone.
//
// The answers lie on the boot partition, where any computer can write them:
//
//	sierpi.toml         the [firstboot] table
//	rpi-preseed.toml    as Raspberry Pi Imager writes it
//	userconf.txt, ssh, wpa_supplicant.conf    the classic ones
//
// A later one of these wins. NewPlan reads them and the machine and changes
// nothing; Plan.Apply does what the plan says, takes the secrets off the boot
// partition and leaves a report of every key there and for the daemon. It runs at
// every boot: with nothing new it does nothing, and a file left later is taken
// over then. A power cut at any point loses no answer: a file is cleared only when
// what it asked for is on disk.
//
// Nothing of this can be reached over the network, and no password is made up.
package firstboot
