package config

// Zram is the [zram] table.
type Zram struct {
	Enabled    bool     `toml:"enabled"`
	Devices    string   `toml:"devices"`   // a number, or "per-cpu"
	Size       string   `toml:"size"`      // total: bytes, "512MiB", "50%", "min(ram/2, 4GiB)"
	Algorithm  []string `toml:"algorithm"` // in order of preference; the first the kernel offers wins
	Priority   int      `toml:"priority"`  // swap priority, 0 to 32767
	MemLimit   string   `toml:"mem-limit"` // like size; empty: none
	Discard    bool     `toml:"discard"`
	Swappiness int      `toml:"swappiness"` // vm.swappiness while our swap is on
}

func defaultZram() Zram {
	return Zram{Enabled: true, Devices: "1", Size: "50%", Algorithm: []string{"zstd", "lz4", "lzo-rle"}, Priority: 100, Discard: true, Swappiness: 180}
}

// Serial is the [serial] table.
type Serial struct {
	Enabled       bool   `toml:"enabled"`
	Device        string `toml:"device"` // "auto" or "ttyS0"
	Baud          int    `toml:"baud"`
	Term          string `toml:"term"`
	KernelConsole bool   `toml:"kernel-console"`
	Login         bool   `toml:"login"`
}

func defaultSerial() Serial {
	return Serial{Enabled: true, Device: "auto", Baud: 115200, Term: "vt220", KernelConsole: true, Login: true}
}

// Power is the [power] table.
type Power struct {
	Source      string  `toml:"source"`       // "auto", "hwmon", "ina219", "pmic", "model", "off"
	SupplyLimit float64 `toml:"supply-limit"` // amperes the supply can give; 0: unknown
}

func defaultPower() Power { return Power{Source: "auto"} }

// GPIO is the [gpio] table; pins are BCM numbers, 0: not connected.
type GPIO struct {
	Button int `toml:"button"`
	LED    int `toml:"led"`
}
