// Package power reads watts, volts, amperes, temperature and throttling from the
// best source the machine has, and names that source.
//
// A Meter reads the sources best first: a monitor chip that the kernel drives
// (hwmon), the same chips over I2C, the Pi 5's power controller, a power_supply,
// and last an estimate from processor use for boards that somebody measured. A
// Watcher counts under-voltage and throttling, Energy adds watts up over restarts.
//
// What a source does not measure is nil. A machine without any is ErrAbsent: a
// state, not a failure. Figures marked Estimate come from a fit, not a meter.
package power
