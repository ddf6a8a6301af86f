package imagebuild

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
)

// markPath is the file by which an image says what it is; the first boot takes
// nothing over on a machine without it.
const markPath = "/usr/lib/sierpi/image.json"

// Mark is what an image says of itself.
type Mark struct {
	Base    string   `json:"base"`
	Release string   `json:"release"`
	Arch    string   `json:"arch"`
	Board   string   `json:"board"`
	Boards  []string `json:"boards"`
	Variant string   `json:"variant"`
	Version string   `json:"version"`
	Built   string   `json:"built"` // RFC 3339; the time of the change that is packaged
}

// disk is an image's two partitions.
type disk struct {
	id   uint32 // of the MBR
	boot partition
	root partition
}

// openDisk reads an image's partition table and holds that it is laid out as ours.
func openDisk(image string) (disk, error) {
	f, err := os.Open(image)
	if err != nil {
		return disk{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return disk{}, err
	}
	id, parts, err := readMBR(f, st.Size())
	if err != nil {
		return disk{}, fmt.Errorf("%s: %w", image, err)
	}
	if len(parts) != 2 || parts[0].kind != 0x0c || parts[1].kind != 0x83 {
		return disk{}, fmt.Errorf("%s: expected a FAT32 boot partition and a Linux root, found %d partitions", image, len(parts))
	}
	return disk{id, parts[0], parts[1]}, nil
}

// ReadMark reads an image's mark out of its root file system, without mounting it.
func ReadMark(ctx context.Context, image string) (Mark, error) {
	d, err := openDisk(image)
	if err != nil {
		return Mark{}, err
	}
	// debugfs says on standard error that a file is missing, and exits with 0.
	out, err := (command{}).run(ctx, "debugfs", "-R", "cat "+markPath, fmt.Sprintf("%s?offset=%d", image, d.root.start))
	if err != nil {
		return Mark{}, fmt.Errorf("%s: reading %s: %w", image, markPath, err)
	}
	var m Mark
	if err := json.Unmarshal(out, &m); err != nil {
		return Mark{}, fmt.Errorf("%s is not an image of sierpi: %s: %w", image, markPath, err)
	}
	return m, nil
}
