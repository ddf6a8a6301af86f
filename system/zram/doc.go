// Package zram plans, applies and reports compressed swap in RAM.
//
// It talks to the kernel alone: hot_add, sysfs, a swap header that it writes
// itself, swapon(2) and swapoff(2). No child process, no shell. Loading the
// module is the unit's business (modprobe@zram.service).
//
// It touches only devices that it made. Which those are stands in zram.json in
// the run folder, written before each step, so that a run which is killed
// anywhere is finished or cleaned up by the next one. Swap areas in zram that
// somebody else made are named and left alone.
//
// Errors are *system.Error and carry the exit code of the command: 2 config,
// 3 no zram or no such algorithm here, 4 somebody else's zram swap, 5 not now
// (too little memory to bring swapped pages back, or a device is held).
//
// Limits: swap headers hold 2^32-1 pages; 24 devices; at most twice the RAM.
package zram
