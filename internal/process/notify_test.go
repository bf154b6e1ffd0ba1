package process

import (
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
	n.Status("replaying\n41%")
	n.ExtendTimeout(3 * time.Second)
	n.Ready()
	n.Watchdog() // not asked for
	n.Stopping()
	want := []string{"STATUS=replaying; 41%", "EXTEND_TIMEOUT_USEC=3000000", "READY=1", "STOPPING=1"}
	if diff := cmp.Diff(want, heard(t, conn)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if len(logged.AllEntries()) > 0 {
		t.Errorf("logged %v", logged.LastEntry().Message)
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
	n.Ready()
	if len(logged.AllEntries()) != 1 {
		t.Errorf("%d lines about a supervisor that cannot be reached, want 1", len(logged.AllEntries()))
	}
}
