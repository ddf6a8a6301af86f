package config

// Web is the [web] table: who listens where.
type Web struct {
	Listen        string   `toml:"listen"`         // address of the pages, "127.0.0.1:8080"
	MetricsListen string   `toml:"metrics-listen"` // address of /metrics, "127.0.0.1:9101"
	Hosts         []string `toml:"hosts"`          // further names this machine is called by
}

func defaultWeb() Web {
	return Web{Listen: "127.0.0.1:8080", MetricsListen: "127.0.0.1:9101"}
}
