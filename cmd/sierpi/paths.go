package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// stateDir is where what must last lives: --state, else systemd's
// $STATE_DIRECTORY, else the XDG state folder.
func stateDir(flag string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sierpi"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep state in: %w; name one with --state DIR", err)
	}
	return filepath.Join(home, ".local", "state", "sierpi"), nil
}

// runtimeDir is where what must not last lives: systemd's $RUNTIME_DIRECTORY,
// else the XDG runtime folder, else a folder of the state folder.
func runtimeDir(state string) string {
	if dir := os.Getenv("RUNTIME_DIRECTORY"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sierpi")
	}
	return filepath.Join(state, "run")
}

// appliancePath is the state folder that the service has.
const appliancePath = "/var/lib/sierpi"

// applianceState is stateDir for commands that root runs on the appliance: without a word
// they mean the service's folder, not one in root's home.
func applianceState(flag string) (string, error) {
	if os.Geteuid() == 0 && serviceKeeps(flag) {
		return appliancePath, nil
	}
	return stateDir(flag)
}

// serviceKeeps reports whether the service has a state folder on this machine, and nobody
// named another one.
func serviceKeeps(flag string) bool {
	st, err := os.Stat(appliancePath)
	return flag == "" && os.Getenv("STATE_DIRECTORY") == "" && err == nil && st.IsDir()
}
