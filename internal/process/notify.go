package process

import (
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
)

// Notifier tells systemd how the process fares (sd_notify). It does nothing when
// the process was not started by systemd with Type=notify.
type Notifier struct {
	log   logrus.FieldLogger
	every time.Duration // between two signs of life; 0: no watchdog

	mu   sync.Mutex
	last time.Time // of the last sign of life
}

// NewNotifier reads the watchdog's interval from the environment. Errors are
// logged: no process stops because its supervisor does not listen.
func NewNotifier(log logrus.FieldLogger) *Notifier {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.WithError(err).Warn("watchdog is off")
	}
	return &Notifier{log: log, every: interval / 4}
}

// Ready says that the process serves.
func (n *Notifier) Ready() { n.send(daemon.SdNotifyReady) }

// Stopping says that the process is on its way out.
func (n *Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

// Status is the line that systemctl status shows.
func (n *Notifier) Status(text string) { n.send("STATUS=" + oneLine(text)) }

// ExtendTimeout asks for at least d more before start or stop counts as failed.
func (n *Notifier) ExtendTimeout(d time.Duration) {
	n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds()))
}

// Watchdog is to be called whenever the process has made progress, as often as
// it likes: what is stuck does not call it, and is restarted.
func (n *Notifier) Watchdog() {
	if n.every == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if !n.last.IsZero() && now.Sub(n.last) < n.every {
		return
	}
	n.last = now
	n.send(daemon.SdNotifyWatchdog)
}

// WatchdogEvery is how often Watchdog should be called at least while there is
// nothing to do; 0 when there is no watchdog.
func (n *Notifier) WatchdogEvery() time.Duration { return n.every }

func (n *Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.WithError(err).Warn("systemd cannot be told")
	}
}
