package kiosk

import (
	"slices"
	"strings"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
)

const (
	mib = 1 << 20
	// LeastMemory is what a board must have, as MemTotal in bytes, for a browser: its
	// three largest processes alone take some 500 MB, most of which zram takes back.
	LeastMemory = 400 * mib
	// smallMemory is where the browser is told to save.
	smallMemory = 1200 * mib
)

// TooSmall says why a browser is not to be tried on this board; "" where one can run.
func TooSmall(b board.Board) string {
	switch {
	case b.Family == board.Family1 || strings.HasPrefix(b.Kernel, "armv6"):
		return "its processor (ARMv6) runs no Chromium"
	case b.Memory < LeastMemory:
		return "it has less than 400 MiB of memory"
	}
	return ""
}

// drivers of graphics processors that a browser gains from. The VideoCore IV (vc4
// alone: all boards before the 4) has only OpenGL ES 2, and what a virtual machine
// offers is the processor in disguise: there the page's own painting is quicker.
var graphics = []string{"v3d", "i915", "xe", "amdgpu", "radeon", "nouveau", "msm", "panfrost", "panthor", "lima", "etnaviv"}

// hasGraphics reports whether the machine has a graphics processor worth using.
func hasGraphics(root system.Root) bool {
	for _, link := range root.Glob("/sys/class/drm/*/device/driver") {
		target, err := root.Readlink(link)
		if err == nil && slices.Contains(graphics, target[strings.LastIndexByte(target, '/')+1:]) {
			return true
		}
	}
	return false
}

const disableFeatures = "--disable-features="

// features are switched off in the one list that Chromium heeds.
var features = []string{
	"Translate", "OptimizationHints", "MediaRouter", "DialMediaRouteProvider",
	"InterestFeedContentSuggestions", "CertificateTransparencyComponentUpdater", "AutofillServerCommunication",
	// Its statistics lie in a file of 4 MB that is mapped and so written every half minute.
	"PersistentHistograms",
	// The window is the wall: nothing that covers it makes it stop painting.
	"CalculateNativeWinOcclusion",
}

// Flags are the browser's arguments on this board, the owner's last; of
// --disable-features lists, of which Chromium heeds one, there is one.
func Flags(root system.Root, b board.Board, profile string, own []string) []string {
	flags := []string{
		"--kiosk",
		"--user-data-dir=" + profile,
		// A pipe: a port would be open to every user of the machine.
		"--remote-debugging-pipe",
		// Nothing that asks, offers or tells.
		"--no-first-run", "--no-default-browser-check", "--noerrdialogs", "--disable-infobars",
		"--disable-session-crashed-bubble", "--hide-crash-restore-bubble",
		"--password-store=basic", "--no-memcheck",
		"--disable-pinch", "--overscroll-history-navigation=0",
		"--autoplay-policy=no-user-gesture-required",
		// Nothing that calls home or updates itself: apt does that.
		"--check-for-update-interval=31536000", "--disable-component-update", "--disable-background-networking",
		"--disable-sync", "--disable-extensions", "--disable-breakpad", "--disable-domain-reliability", "--metrics-recording-only",
		// The wall paints whether or not anybody touches it.
		"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
		// All that is loaded is small and of this machine: few writes to the card.
		"--disk-cache-size=4194304", "--media-cache-size=1048576",
	}
	if hasGraphics(root) {
		flags = append(flags, "--ignore-gpu-blocklist", "--enable-gpu-rasterization")
	} else {
		flags = append(flags, "--disable-gpu")
	}
	if b.Memory != 0 && b.Memory < smallMemory {
		flags = append(flags, "--enable-low-end-device-mode", "--renderer-process-limit=1")
	}
	off := slices.Clone(features)
	for _, f := range own {
		if list, ok := strings.CutPrefix(f, disableFeatures); ok {
			off = append(off, strings.Split(list, ",")...)
		} else {
			flags = append(flags, f)
		}
	}
	slices.Sort(off)
	return append(flags, disableFeatures+strings.Join(slices.Compact(off), ","))
}
