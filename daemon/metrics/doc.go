// Package metrics is the only package that knows Prometheus. It turns what the
// other parts report, read through narrow interfaces of its own, into metrics
// named sierpi_<part>_<what>_<unit> in base units. A figure that is absent on
// this machine is absent from the output, never 0.
package metrics
