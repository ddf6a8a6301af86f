// Package firstboot makes a freshly flashed card this owner's machine: root grown,
// host keys, machine-id, user, host name, Wi-Fi and locale.
package firstboot
