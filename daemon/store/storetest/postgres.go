// Package storetest is for tests only: databases to run against, of both engines.
package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// Server is a PostgreSQL server of the test's own, on a socket in a folder of its
// own, that ends with the test.
type Server struct {
	dir   string
	as    *syscall.SysProcAttr // PostgreSQL refuses to run as root
	pgctl string
	n     atomic.Int32
}

// Postgres starts a server. Without Debian's postgresql package the test is skipped.
func Postgres(t testing.TB) *Server {
	t.Helper()
	initdb := systemtest.Tool(t, "initdb", "postgresql")
	s := &Server{pgctl: systemtest.Tool(t, "pg_ctl", "postgresql")}
	dir, err := os.MkdirTemp("", "sierpi-postgres-") // not t.TempDir, which another user cannot enter
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	s.run(t, initdb, "-D", s.data(), "-U", "sierpi", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = s.as
	cmd.Dir = s.dir
	log, err := os.CreateTemp(s.dir, "run-") // not a pipe: the server that pg_ctl leaves behind would hold it open
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
}

// Start starts the server again after Stop and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.run(t, s.pgctl, "-D", s.data(), "-w", "-l", filepath.Join(s.dir, "log"),
		"-o", "-c listen_addresses='' -c unix_socket_directories="+s.dir+" -c fsync=off -c max_connections=50", "start")
}

// Stop stops the server at once, as a crash would.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.run(t, s.pgctl, "-D", s.data(), "-w", "-m", "immediate", "stop")
}

// Database creates an empty database and returns its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.n.Add(1))
	s.run(t, systemtest.Tool(t, "createdb", "postgresql-client"), "-h", s.dir, "-U", "sierpi", name)
	return fmt.Sprintf("host=%s user=sierpi dbname=%s", s.dir, name)
}
