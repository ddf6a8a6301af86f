package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/systemtest"
)

func open(t *testing.T, dir string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestUnusableFolder: one clear error, that names the place and says what to do.
func TestUnusableFolder(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := t.TempDir()
	if err := os.WriteFile(filepath.Join(garbage, "sierpi.db"), []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, want string }{
		"no name":        {"", "no state folder is named"},
		"under a file":   {filepath.Join(blocked, "state"), "not a directory"},
		"cannot be made": {"/proc/sierpi", "/proc/sierpi"},
		"no database":    {garbage, "is not a SQLite database"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), store.Options{Dir: c.dir})
			checkError(t, err, c.want)
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	var told *store.Error
	if !errors.As(err, &told) {
		t.Fatalf("got %v, want a *store.Error", err)
	}
	if !strings.Contains(err.Error(), want) || told.Remedy == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want one line with %q and a remedy", err, want)
	}
}

// TestDamaged overwrites pages in the middle of a database.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	if err := db.Integrity(t.Context()); err != nil {
		t.Errorf("a new database: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sierpi.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(b); i++ {
		b[i] = 0x5a
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err = store.Open(t.Context(), store.Options{Dir: dir})
	if err == nil {
		defer db.Close()
		err = db.Integrity(t.Context())
	}
	checkError(t, err, "is damaged")
}

// smallDisk is a folder on a file system of its own, of that size ("1m").
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	systemtest.Root(t)
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		systemtest.Absent(t, "cannot mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

// addQuote writes a row with so long a text.
func addQuote(t *testing.T, db *store.DB, key []byte, length int) error {
	return db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO quote (key, words, added, author, source, origin, text) VALUES (?, 0, 0, '', '', '', ?)`, key, strings.Repeat("x", length))
		return err
	})
}

// countQuotes holds how many rows there are.
func countQuotes(t *testing.T, db *store.DB, want int) {
	t.Helper()
	n := 0
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM quote`).Scan(&n)
	}); err != nil || n != want {
		t.Errorf("%d rows are there, want %d: %v", n, want, err)
	}
}

// TestFull writes until a file system of 1 MB is full, and then reads what was acknowledged.
func TestFull(t *testing.T) {
	dir := smallDisk(t, "1m")
	db := open(t, dir)
	t.Cleanup(func() { db.Close() }) // before the unmount
	acknowledged := 0
	var err error
	for range 10_000 {
		err = addQuote(t, db, []byte{byte(acknowledged), byte(acknowledged >> 8)}, 1000)
		if err != nil {
			break
		}
		acknowledged++
	}
	checkError(t, err, "no space left")
	if acknowledged == 0 {
		t.Error("nothing was written")
	}
	countQuotes(t, db, acknowledged)
}

// TestOpensOnAFullDisk: without room even for SQLite's shared memory what there is can be read,
// and what comes once there is room is kept.
func TestOpensOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "2m")
	db := open(t, dir)
	if err := addQuote(t, db, []byte("before"), 9000); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	f.Close()
	if _, err := os.Stat(filepath.Join(dir, "sierpi.db-shm")); err == nil {
		t.Fatal("the shared memory is still there: nothing is tried below")
	}
	for range 2 {
		db = open(t, dir)
		countQuotes(t, db, 1)
		if err := addQuote(t, db, []byte("without room"), 9000); !errors.Is(err, store.ErrFull) {
			t.Errorf("writing without room: %v", err)
		}
		countQuotes(t, db, 1)
		if err := db.Integrity(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	db = open(t, dir)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := addQuote(t, db, []byte("after"), 9000); err != nil {
		t.Errorf("writing with room again: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	db = open(t, dir)
	defer db.Close()
	countQuotes(t, db, 2)
}

// TestMain lets the test binary play the process that is killed or that has no rights.
func TestMain(m *testing.M) {
	switch os.Getenv("SIERPI_STORE_TEST") {
	case "write":
		writeForever(os.Getenv("SIERPI_STORE_DIR"))
	case "open":
		_, err := store.Open(context.Background(), store.Options{Dir: os.Getenv("SIERPI_STORE_DIR")})
		if err == nil {
			os.Exit(0)
		}
		os.Stdout.WriteString(err.Error())
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// writeForever acknowledges each row on stdout once it is committed.
func writeForever(dir string) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO quote (key, words, added, author, source, origin, text) VALUES (?, 0, 0, '', '', '', '')`,
				[]byte{byte(i), byte(i >> 8), byte(i >> 16)})
			return err
		}); err != nil {
			panic(err)
		}
		os.Stdout.Write([]byte{'.'})
	}
}

// TestKill kills a writing process and counts what it had acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SIERPI_STORE_TEST=write", "SIERPI_STORE_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	buf := make([]byte, 1)
	for acknowledged < 100 {
		if _, err := out.Read(buf); err != nil {
			t.Fatal(err)
		}
		acknowledged++
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := out.Read(buf)
		acknowledged += n
		if err != nil {
			break
		}
	}
	_ = cmd.Wait()
	db := open(t, dir)
	n := 0
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM quote`).Scan(&n)
	}); err != nil || n < acknowledged || n > acknowledged+1 {
		t.Errorf("%d rows of %d acknowledged ones: %v", n, acknowledged, err)
	}
	if err := db.Integrity(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestUnwritable opens as a user who may not write.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SIERPI_STORE_TEST=open", "SIERPI_STORE_DIR="+dir)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		exe := filepath.Join(t.TempDir(), "test") // where nobody may run it
		b, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(exe, b, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{exe, dir} {
			for p := filepath.Dir(d); p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
				if err := os.Chmod(p, 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		cmd.Path, cmd.Dir = exe, "/"
	} else if err := os.Chmod(filepath.Join(dir, "sierpi.db"), 0o400); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("got %v %s, want an error", err, out)
	}
	if s := string(out); !strings.Contains(s, "permission denied") || !strings.Contains(s, "--state") {
		t.Errorf("got %q, want the reason and the remedy", s)
	}
}

// TestOpenKeepsLocks opens a database a second time and asks the kernel whether the
// first opener's lock is still there: without it another process, as the last one
// to close, would take away the log that this one writes to.
func TestOpenKeepsLocks(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	open(t, dir)
	f, err := os.OpenFile(filepath.Join(dir, "sierpi.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })                                       // not before: it ends the locks
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: 0x40000002, Len: 510} // sqlite.org/fileformat2.html#the_lock_byte_page
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		t.Fatal(err)
	}
	if lock.Type != unix.F_RDLCK {
		t.Errorf("got a lock of type %d, want the shared one (%d)", lock.Type, unix.F_RDLCK)
	}
}

// TestOpenWaits opens a file that has no log yet while somebody writes to it, which is
// what two who meet at a new file are to each other.
func TestOpenWaits(t *testing.T) {
	dir := t.TempDir()
	other, err := sql.Open("sqlite", filepath.Join(dir, "sierpi.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []string{"CREATE TABLE somebody (x)", "BEGIN IMMEDIATE"} {
		if _, err := c.ExecContext(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
	time.AfterFunc(200*time.Millisecond, func() { _, _ = c.ExecContext(context.WithoutCancel(t.Context()), "COMMIT") })
	open(t, dir)
}

// TestOpenTogether opens one new database from several sides at once.
func TestOpenTogether(t *testing.T) {
	dir := t.TempDir()
	done := make(chan error)
	const n = 4
	for range n {
		go func() {
			db, err := store.Open(t.Context(), store.Options{Dir: dir})
			if err == nil {
				err = db.Close()
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
