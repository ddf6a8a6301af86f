// Package zram plans, applies and reports compressed swap in RAM.
package zram
