// Package daemon wires the parts of sierpi together: it builds each part with
// explicit constructors, runs them as tasks, lists every route in one table and
// answers for their health. It holds no logic of its own beyond that.
package daemon
