package process

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

// supervisor listens where systemd would.
func supervisor(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

// heard are the n messages that have come so far; an end mark, sent here, shows
// that there are no more.
func heard(t *testing.T, conn *net.UnixConn) (messages []string) {
	t.Helper()
	const end = "STATUS=end of test"
	(&Notifier{log: logrus.StandardLogger()}).send(end)
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if string(buffer[:n]) == end {
			return messages
		}
		messages = append(messages, string(buffer[:n]))
	}
}

func TestNotifier(t *testing.T) {
	conn := supervisor(t)
	log, logged := test.NewNullLogger()
	n := NewNotifier(log)
	n.Ready()
	n.Ready()
	n.Status("tick 7\nall well")
	n.Status("tick 7\nall well")
	n.Status("tick 8")
	n.Watchdog() // not asked for
	told, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.StopWith(told); err != nil {
		t.Error(err)
	}
	want := []string{"READY=1", "STATUS=tick 7; all well", "STATUS=tick 8", "STOPPING=1"}
	if diff := cmp.Diff(want, heard(t, conn)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if len(logged.AllEntries()) > 0 {
		t.Errorf("logged %v", logged.LastEntry().Message)
	}
}

// TestStartIsExtended at every step, and every second while the step is the same,
// however often it is told; once ready there is nothing to extend.
func TestStartIsExtended(t *testing.T) {
	conn := supervisor(t)
	synctest.Test(t, func(*testing.T) {
		log, _ := test.NewNullLogger()
		n := NewNotifier(log)
		n.Status("step 1")
		for range 1500 {
			n.Status("step 2")
			time.Sleep(time.Millisecond) // of the synctest bubble: no real time passes
		}
		n.Ready()
		n.Status("ready")
	})
	extension := "\nEXTEND_TIMEOUT_USEC=60000000"
	want := []string{"STATUS=step 1" + extension, "STATUS=step 2" + extension, "STATUS=step 2" + extension, "READY=1", "STATUS=ready"}
	if diff := cmp.Diff(want, heard(t, conn)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestWatchdogIsFedAtItsPace(t *testing.T) {
	conn := supervisor(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(40_000_000))
	synctest.Test(t, func(t *testing.T) {
		log, _ := test.NewNullLogger()
		n := NewNotifier(log)
		if n.WatchdogEvery() != 10*time.Second {
			t.Errorf("every %v, want a quarter of 40 s", n.WatchdogEvery())
		}
		for range 35 { // busy: at 0, 10, 20 and 30 s
			for range 1000 {
				n.Watchdog()
			}
			time.Sleep(time.Second) // of the synctest bubble: no real time passes
		}
	})
	if got := heard(t, conn); !cmp.Equal(got, []string{"WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"}) {
		t.Errorf("heard %v, want 4 signs of life", got)
	}
}

func TestNotifierWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	log, logged := test.NewNullLogger()
	n := NewNotifier(log)
	n.Ready()
	n.Watchdog()
	if len(logged.AllEntries()) > 0 {
		t.Errorf("logged %q without a supervisor", logged.LastEntry().Message)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	n.Status("still there")
	if len(logged.AllEntries()) != 1 {
		t.Errorf("%d lines about a supervisor that cannot be reached, want 1", len(logged.AllEntries()))
	}
}
