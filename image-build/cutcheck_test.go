package imagebuild

import (
	"math/rand/v2"
	"testing"
)

func TestFATRepair(t *testing.T) {
	const head = "fsck.fat 4.2 (2021-01-31)\nThere are differences between boot sector and its backup.\nThis is mostly harmless. Differences: (offset:original/backup)\n  65:01/00\n  Not automatically fixing this.\nDirty bit is set. Fs was not properly unmounted and some data may be corrupt.\n Automatically removing dirty bit.\n"
	const foot = "\n/tmp/x/fat.img: 9 files, 2212/130811 clusters\n"
	for name, c := range map[string]struct {
		said     string
		repaired bool
		bad      bool
	}{
		"the mark alone":        {head + foot, false, false},
		"clusters of nobody":    {head + "Reclaimed 1 unused cluster (4096 bytes) in 1 chain.\nFree cluster summary wrong (128599 vs. really 128598)\n  Auto-correcting." + foot, true, false},
		"a file being written":  {head + "FATs differ but appear to be intact.\n  Using first FAT.\n/.cmdline.txt.sierpi-backup-2028512010\n  Contains a free cluster (2217). Assuming EOF." + foot, true, false},
		"the firmware's file":   {head + "/cmdline.txt\n  File size is 112 bytes, cluster chain length is 0 bytes.\n  Truncating file to 0 bytes." + foot, true, true},
		"another file in a dir": {head + "/overlays/x.dtbo\n  Contains a free cluster (2217). Assuming EOF." + foot, true, true},
	} {
		repaired, err := fatRepair(c.said)
		if repaired != c.repaired || (err != nil) != c.bad {
			t.Errorf("%s: %v, %v", name, repaired, err)
		}
	}
}

// A text of before a confirmed change, half of one, and one of the future are each found.
func TestHoldCmdline(t *testing.T) {
	rec := recording{Cmdline: []version{{"a", 0, 0}, {"b", 10, 20}, {"c", 30, 40}}}
	for _, c := range []struct {
		n    int
		text string
		ok   bool
	}{
		{5, "a", true}, {5, "b", false}, {15, "a", true}, {15, "b\n\n", true}, {20, "a", false}, {20, "b", true}, {25, "c", false},
		{35, "b", true}, {35, "c", true}, {40, "b", false}, {40, "c\n\x00", true}, {40, "c\x00c", false}, {99, "", false}, {99, "cc", false},
	} {
		if err := rec.holdCmdline(c.text, c.n); (err == nil) != c.ok {
			t.Errorf("after entry %d %q: %v", c.n, c.text, err)
		}
	}
}

func TestMoments(t *testing.T) {
	entries := make([]logEntry, 1000)
	for i := range entries {
		if entries[i].size = page; i%7 == 6 {
			entries[i] = logEntry{flags: logFlush}
		}
	}
	rec := recording{Phases: []phase{{phaseFirstBoot, 0, 300}, {phaseWriting, 300, 350}, {phaseUpgrade, 350, 1000}}, Acks: []ack{{At: 320}}, User: 290, Upgraded: 900}
	cuts := moments(rec, entries, 200, 3, rand.New(rand.NewPCG(1, 1)))
	count, boots, last := map[string]int{}, 0, 0
	for _, c := range cuts {
		if c.n < last || c.n > len(entries) || c.n < 1 {
			t.Fatalf("%+v after %d", c, last)
		}
		last = c.n
		count[c.phase]++
		if c.boot {
			boots++
		}
	}
	if len(cuts) != 200 || boots != 3 || count[phaseFirstBoot] < 60 || count[phaseWriting] < 60 || count[phaseUpgrade] < 60 {
		t.Errorf("%d cuts, %d booted, %v", len(cuts), boots, count)
	}
}
