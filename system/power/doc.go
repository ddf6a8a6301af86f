// Package power reads watts, volts, amperes, temperature and throttling from the
// best source the machine has, and names that source.
package power
